import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { z } from "zod";
import type { ScheduledNode } from "../checks/schedule.js";
import { ClusterduckError } from "../common/errors.js";

/** What an agent must know after a restart, even when no coordinator is there. */
export type AgentState = {
  /** Empty: it has never met a coordinator. */
  readonly clusterId: string;
  readonly nodes: readonly ScheduledNode[];
  /** Coordinators that were named by others: those of the configuration may all be replaced by now. */
  readonly coordinators: readonly string[];
};

const WORK_FILE = "assignment.json";

const checkSchema = z.object({
  id: z.string(),
  type: z.enum(["basic", "info", "http", "websocket", "tcp", "grpc", "exec"]),
  options: z.record(z.string(), z.json()),
  everyMs: z.number().positive(),
  failingEveryMs: z.number().positive().exactOptional(),
  timeoutMs: z.number().positive(),
  fall: z.int().positive(),
  rise: z.int().positive(),
});
const workSchema = z.object({
  version: z.literal(1),
  clusterId: z.string(),
  /** Absent in files from before coordinators were remembered. */
  coordinators: z.array(z.string()).default([]),
  nodes: z.array(
    z.object({
      node: z.object({ cluster: z.string(), addr: z.string() }),
      epoch: z.int(),
      clusterType: z.enum(["redis", "http", "tcp", "grpc"]),
      checks: z.array(checkSchema),
    }),
  ),
});
/** The agent's memory on disk. Files are replaced whole and synced, directory included. */
export class StateStore {
  readonly #dir: string;
  /** Writes one after the other, so that an older one never ends last. */
  #last: Promise<void> = Promise.resolve();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * @throws ClusterduckError DISK_FAILED when the directory cannot be made or a file not be read, and
   * LOG_CORRUPT for a file that is not ours.
   */
  async load(): Promise<AgentState> {
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o750 });
    } catch (cause) {
      throw new ClusterduckError("DISK_FAILED", `Cannot make the state directory "${this.#dir}"`, {
        cause,
        hint: "Choose a directory that this user may write to (agent: state_dir: …)",
      });
    }
    const work = await this.#read(WORK_FILE, workSchema);
    return {
      clusterId: work?.clusterId ?? "",
      nodes: work?.nodes ?? [],
      coordinators: work?.coordinators ?? [],
    };
  }

  /** @throws ClusterduckError DISK_FAILED */
  save(state: AgentState): Promise<void> {
    return this.#write(WORK_FILE, { version: 1, ...state });
  }

  async #read<T>(name: string, schema: z.ZodType<T>): Promise<T | null> {
    const path = join(this.#dir, name);
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw new ClusterduckError("DISK_FAILED", `Cannot read "${path}"`, { cause });
    }
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new ClusterduckError("LOG_CORRUPT", `Cannot understand "${path}"`, {
        cause,
        hint: "Remove the file: the coordinators tell the agent again what to check",
      });
    }
  }

  #write(name: string, value: unknown): Promise<void> {
    const path = join(this.#dir, name);
    const text = `${JSON.stringify(value)}\n`;
    const write = async () => {
      try {
        await writeFileAtomic(path, text, { mode: 0o640 });
        await syncDirectory(this.#dir);
      } catch (cause) {
        throw new ClusterduckError("DISK_FAILED", `Cannot write "${path}"`, { cause });
      }
    };
    const written = this.#last.then(write, write);
    // The next write goes on after a failed one; the caller of this one hears of it.
    this.#last = written.catch(() => undefined);
    return written;
  }
}

/** The new name itself has to survive a power cut. */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
