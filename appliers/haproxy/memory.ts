import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";

import { ClusterduckError, messageOf } from "../../common/errors.js";
import { readOrNull, stageFile } from "./replace-file.js";

/** What an applier must not forget when its process restarts. */
const memorySchema = z.object({
  version: z.literal(1),
  /** File it is about: another path starts anew. */
  path: z.string(),
  /** Newest order accepted; older ones are refused. */
  fencing: z.object({ term: z.number(), index: z.number() }),
  /**
   * The content that the proxy is known to have taken. A file with another checksum is a reload that is
   * still owed, whoever wrote it and whenever we stopped.
   */
  loaded: z
    .object({
      checksum: z.string(),
      structure: z.string(),
      /** The worker that was seen to run it; null when it could not be asked. */
      worker: z.string().nullable(),
      /** That worker's master, for when HAProxy can no longer be asked; null when it is not known. */
      master: z.object({ pid: z.number(), start: z.string(), boot: z.string() }).nullable().default(null),
    })
    .nullable(),
  /** What the validator has passed last: structure, program and files beside ours; empty: nothing. */
  validated: z.string(),
  /** Marker mode: checksums of the lines that were taken over from the user's file; null: none ever. */
  adopted: z.array(z.string()).nullable(),
});

export type ApplierMemory = Readonly<z.infer<typeof memorySchema>>;

export interface MemoryStore {
  load(): Promise<ApplierMemory>;
  /** @throws ClusterduckError DISK_FAILED. */
  save(memory: ApplierMemory): Promise<void>;
  /** The last content that the proxy took, for putting it back. */
  loadLastGood(): Promise<string | null>;
  saveLastGood(text: string): Promise<void>;
}

export function memoryStore(stateDir: string, balancer: string, path: string): MemoryStore {
  const base = join(stateDir, "haproxy", encodeURIComponent(balancer));
  const lastGoodPath = `${base}.clusterduck-last-good`;
  const empty: ApplierMemory = {
    version: 1,
    path,
    fencing: { term: 0, index: 0 },
    loaded: null,
    validated: "",
    adopted: null,
  };
  return {
    load: async () => {
      const text = await readOrNull(`${base}.json`);
      if (text === null) return empty;
      const memory = parse(text);
      // Damaged: forgetting costs one reload; refusing to work would cost the routing.
      if (memory === null) return empty;
      return memory.path === path ? memory : { ...empty, fencing: memory.fencing };
    },
    save: (memory) => write(`${base}.json`, JSON.stringify(memory)),
    loadLastGood: () => readOrNull(lastGoodPath),
    saveLastGood: (text) => write(lastGoodPath, text),
  };
}

function parse(text: string): ApplierMemory | null {
  try {
    return memorySchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

async function write(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new ClusterduckError("DISK_FAILED", `Cannot create "${dirname(path)}": ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  const staged = await stageFile(path, text, 0o600);
  await staged.commit();
}
