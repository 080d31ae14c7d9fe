import { constants } from "node:fs";
import { mkdir, open, readdir, readFile, rename, statfs, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ClusterduckError, messageOf } from "../../../common/errors.js";
import { lockDirectory } from "./directory-lock.js";

/**
 * What the log needs of a file system, so that a test can pull the plug. Every method throws
 * ClusterduckError: DISK_FULL when there is no space, else DISK_FAILED, both naming action and path.
 */
export interface Disk {
  /** Makes a directory and its parents, durably. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, sorted; none when it does not exist. */
  list(path: string): Promise<readonly string[]>;
  read(path: string): Promise<Uint8Array>;
  /** `create` makes an empty file (or empties one); `update` opens one that exists. */
  open(path: string, mode: "create" | "update"): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; one that is gone already is no error. */
  remove(path: string): Promise<void>;
  /** Makes created, renamed and removed names durable. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that we may still write below `path`. */
  freeBytes(path: string): Promise<number>;
  /** @throws ClusterduckError LOG_LOCKED while a living process holds the directory. */
  lock(directory: string): Promise<DiskLock>;
}

export interface DiskFile {
  /** Writes all of `bytes`; durable only after `sync`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Writes all of `bytes`; resolves when they are on the medium. One step, where `write` and `sync` are two. */
  writeDurably(bytes: Uint8Array, position: number): Promise<void>;
  /** Resolves when everything written before is on the medium. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface DiskLock {
  release(): Promise<void>;
}

/** Whether a disk has refused something for want of space: it did not happen, and can be tried again. */
export function isDiskFull(thrown: unknown): thrown is ClusterduckError {
  return thrown instanceof ClusterduckError && thrown.code === "DISK_FULL";
}

export const realDisk: Disk = {
  makeDirectory: async (path) => {
    const first = await attempt("create directory", path, () =>
      mkdir(path, { recursive: true, mode: 0o700 }),
    );
    if (first === undefined) return;
    // Each new directory is a name in its parent.
    for (let each = resolve(path); each !== dirname(resolve(first)); each = dirname(each)) {
      await realDisk.syncDirectory(dirname(each));
    }
  },
  list: async (path) => {
    try {
      return (await readdir(path)).sort();
    } catch (thrown) {
      if (codeOf(thrown) === "ENOENT") return [];
      throw wrap("list", path, thrown);
    }
  },
  read: (path) => attempt("read", path, () => readFile(path)),
  open: async (path, mode) => {
    const flags = mode === "create" ? "w" : "r+";
    const handle = await attempt("open", path, () => open(path, flags, 0o600));
    return realFile(handle, path);
  },
  rename: (from, to) => attempt("rename", from, () => rename(from, to)),
  remove: async (path) => {
    try {
      await unlink(path);
    } catch (thrown) {
      if (codeOf(thrown) !== "ENOENT") throw wrap("remove", path, thrown);
    }
  },
  syncDirectory: async (path) => {
    const handle = await attempt("open directory", path, () => open(path, "r"));
    try {
      await attempt("sync directory", path, () => handle.sync());
    } finally {
      await handle.close();
    }
  },
  freeBytes: async (path) => {
    const { bavail, bsize } = await attempt("ask for the free space of", path, () => statfs(path));
    return bavail * bsize;
  },
  lock: lockDirectory,
};

function realFile(handle: FileHandle, path: string): DiskFile {
  /** Every write through it is durable when it returns, which saves a trip to the thread pool and back. */
  let durable: FileHandle | null = null;
  return {
    write: (bytes, position) => writeAll(handle, path, bytes, position),
    writeDurably: async (bytes, position) => {
      durable ??= await attempt("open", path, () => open(path, constants.O_WRONLY | constants.O_DSYNC));
      await writeAll(durable, path, bytes, position);
    },
    sync: () => attempt("sync", path, () => handle.datasync()),
    close: async () => {
      await attempt("close", path, () => handle.close());
      const other = durable;
      if (other !== null) await attempt("close", path, () => other.close());
    },
  };
}

async function writeAll(
  handle: FileHandle,
  path: string,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const start = done;
    const { bytesWritten } = await attempt("write", path, () =>
      handle.write(bytes, start, bytes.length - start, position + start),
    );
    done += bytesWritten;
  }
}

async function attempt<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw wrap(action, path, thrown);
  }
}

function wrap(action: string, path: string, cause: unknown): ClusterduckError {
  const code = codeOf(cause);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new ClusterduckError("DISK_FULL", `Cannot ${action} "${path}": no space is left`, {
      cause,
      hint: "Free space on that file system; what was refused can then be tried again",
    });
  }
  const hint = hintOf(code);
  return new ClusterduckError("DISK_FAILED", `Cannot ${action} "${path}": ${messageOf(cause)}`, {
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

function hintOf(code: unknown): string | undefined {
  if (code === "EEXIST" || code === "ENOTDIR")
    return "A file stands where a directory is needed: set coordinator.data_dir to another path";
  // A directory that cannot be made in a read-only file system is reported as missing.
  if (code === "EACCES" || code === "EPERM" || code === "EROFS" || code === "ENOENT")
    return "Set coordinator.data_dir to a directory that this user may write to";
  return undefined;
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined;
}
