import { open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { Clock } from "../clock.js";
import { ClusterduckError, messageOf } from "../errors.js";

const LOOK_EVERY_MS = 200;
const CHUNK_BYTES = 65_536;

export type FollowOptions = {
  readonly path: string;
  /** How many lines of what is there already. */
  readonly lines: number;
  /** Go on with what is added, until the signal aborts. */
  readonly isFollowing: boolean;
  readonly signal: AbortSignal;
  readonly clock: Clock;
};

/**
 * The end of a file, and what is appended to it. A file that was renamed is read to its end before the
 * new one of its name; one that was truncated is read from its start. Looks at intervals rather than
 * watching: that works on every file system, and for a file that does not exist yet.
 * @throws ClusterduckError NOT_FOUND when there is no file and nothing to wait for.
 */
export async function* followFile(options: FollowOptions): AsyncGenerator<Buffer> {
  const { path, lines, isFollowing, signal, clock } = options;
  let file = await openIfThere(path);
  if (file === null && !isFollowing) {
    throw new ClusterduckError("NOT_FOUND", `Cannot read log "${path}": there is no such file`, {
      hint: "the daemon writes it once it was started with -d",
    });
  }
  try {
    let offset = file === null ? 0 : await startOfLastLines(file, lines);
    for (;;) {
      if (file !== null) {
        const { size } = await file.stat();
        if (size < offset) offset = 0;
        for await (const chunk of readFrom(file, offset, signal)) {
          offset += chunk.length;
          yield chunk;
        }
      }
      if (!isFollowing || signal.aborted) return;
      if (await isReplaced(file, path)) {
        const next = await openIfThere(path);
        // Between the two looks the old file may have got its last lines.
        if (next !== null && file !== null) yield* readFrom(file, offset, signal);
        if (next !== null) {
          await file?.close();
          file = next;
          offset = 0;
          continue;
        }
      }
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  } finally {
    await file?.close();
  }
}

async function* readFrom(file: FileHandle, from: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  let offset = from;
  while (!signal.aborted) {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, offset);
    if (bytesRead === 0) return;
    offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Where the last `lines` lines begin, read from the end so that a large file costs nothing. */
async function startOfLastLines(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  if (lines === 0) return size;
  let end = size;
  let newlines = 0;
  const buffer = Buffer.alloc(CHUNK_BYTES);
  while (end > 0) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    for (let index = bytesRead - 1; index >= 0; index--) {
      // The newline at the very end ends the last line; it begins no other.
      if (buffer[index] !== 0x0a || start + index === size - 1) continue;
      if (++newlines >= lines) return start + index + 1;
    }
    end = start;
  }
  return 0;
}

async function isReplaced(file: FileHandle | null, path: string): Promise<boolean> {
  try {
    const now = await stat(path);
    if (file === null) return true;
    const ours = await file.stat();
    return now.ino !== ours.ino || now.dev !== ours.dev;
  } catch {
    return false;
  }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, "r");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
    throw new ClusterduckError("NOT_FOUND", `Cannot read log "${path}": ${messageOf(cause)}`, { cause });
  }
}
