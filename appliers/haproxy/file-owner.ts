import { readFile, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";

import type { Clock } from "../../common/clock.js";
import { identify, isRunning } from "../../common/daemon/processes.js";

/** Who writes a file: a process for good, and where it keeps what it knows of the file. */
const ownerSchema = z.object({
  pid: z.number(),
  start: z.string(),
  boot: z.string(),
  stateDir: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

/**
 * A claim that nobody has renewed for so long is given up, though its process lives: the file left that
 * process's configuration. Longer than the time between two looks at a proxy, or two attempts. Milliseconds.
 */
const STALE_MS = 60_000;

export interface FileOwner {
  /**
   * Claims the file for this process and state directory: two that write one file would undo each other's
   * work for ever, and put in place what only the other has validated. In words, who has it; null: we do.
   */
  claim(): Promise<string | null>;
  /** Says that we still have it, if we do. */
  renew(): Promise<void>;
}

export function fileOwner(path: string, stateDir: string, clock: Pick<Clock, "wallMs">): FileOwner {
  const claimPath = join(dirname(path), `.${basename(path)}.clusterduck-owner`);
  const self = identify(process.pid);
  // Without a process table nobody can tell a claim that stands from one that a crash left.
  const mine: Owner | null = self === null || self.start === "" ? null : { ...self, stateDir };
  const isMine = (owner: Owner): boolean =>
    owner.pid === mine?.pid && owner.start === mine.start && owner.stateDir === stateDir;
  const touch = async (): Promise<void> => {
    const now = new Date(clock.wallMs());
    await utimes(claimPath, now, now).catch(() => undefined);
  };
  return {
    claim: async () => {
      if (mine === null) return null;
      const owner = await read(claimPath);
      if (owner !== null && isMine(owner)) {
        await touch();
        return null;
      }
      const age = clock.wallMs() - ((await stat(claimPath).catch(() => null))?.mtimeMs ?? 0);
      if (owner !== null && isRunning(owner) && Math.abs(age) < STALE_MS) {
        return `Cannot manage "${path}": process ${owner.pid} does already (state directory "${owner.stateDir}"); stop one of the two, or give them different files`;
      }
      await unlink(claimPath).catch(() => undefined);
      // Where no claim can be written the file cannot be either, and says why.
      await writeFile(claimPath, JSON.stringify(mine), { flag: "wx", mode: 0o644 }).catch(() => undefined);
      return null;
    },
    renew: async () => {
      const owner = await read(claimPath);
      if (owner !== null && isMine(owner)) await touch();
    },
  };
}

/** Null when there is no claim, or one that says nothing. */
async function read(claim: string): Promise<Owner | null> {
  const text = await readFile(claim, "utf8").catch(() => "");
  try {
    return ownerSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
