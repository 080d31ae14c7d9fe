import { open, readFile, readlink, realpath, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

import { ClusterduckError, messageOf } from "../../common/errors.js";

/** A new content that stands beside the old one, on disk, until it replaces it. */
export type StagedFile = {
  /** In the same directory, so that the replacement is one rename. */
  readonly temporaryPath: string;
  readonly warnings: readonly string[];
  /** @throws ClusterduckError DISK_FAILED; the old file is then still there. */
  commit(): Promise<void>;
  discard(): Promise<void>;
};

/** Reads a file; null when there is none. @throws ClusterduckError DISK_FAILED. */
export async function readOrNull(path: string): Promise<string | null> {
  try {
    const found = await stat(path);
    // Reading from a pipe or a device may never end.
    if (!found.isFile() && !found.isDirectory())
      throw new Error("it is no ordinary file: remove what stands there, or change the path");
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (hasCode(thrown, "ENOENT")) return null;
    throw new ClusterduckError(
      "DISK_FAILED",
      `Cannot read "${path}": ${messageOf(thrown)}${whatHelps(path, thrown)}`,
      { cause: thrown },
    );
  }
}

/**
 * Writes the new content beside the file and syncs it. Mode and owner stay those of the file that is there;
 * a symbolic link stays, and what it points to is replaced.
 * @throws ClusterduckError DISK_FAILED with the file untouched.
 */
export async function stageFile(path: string, text: string, modeWhenNew: number): Promise<StagedFile> {
  try {
    return await stage(await realPlaceOf(path), text, modeWhenNew);
  } catch (thrown) {
    throw failure(path, thrown);
  }
}

/** Where a path leads, also when nothing stands there yet. */
async function realPlaceOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (thrown) {
    if (!hasCode(thrown, "ENOENT")) throw thrown;
    const link = await readlink(path).catch(() => null);
    return link === null ? path : realPlaceOf(resolve(dirname(path), link));
  }
}

async function stage(target: string, text: string, modeWhenNew: number): Promise<StagedFile> {
  const directory = dirname(target);
  // One writer per file, so one name: what a crash left behind is replaced, not collected.
  const temporaryPath = join(directory, `.${basename(target)}.clusterduck-new`);
  const old = await stat(target).catch(() => null);
  const warnings: string[] = [];
  await unlink(temporaryPath).catch(() => undefined);
  const file = await open(temporaryPath, "wx", 0o600);
  try {
    await file.writeFile(text);
    const own = await file.stat();
    if (old !== null && (old.uid !== own.uid || old.gid !== own.gid)) {
      await file.chown(old.uid, old.gid).catch((thrown: unknown) => {
        warnings.push(`Cannot keep the owner ${old.uid}:${old.gid} of "${target}": ${messageOf(thrown)}`);
      });
    }
    await file.chmod(old === null ? modeWhenNew : old.mode & 0o7777);
    await file.sync();
  } catch (thrown) {
    await file.close();
    await unlink(temporaryPath).catch(() => undefined);
    throw thrown;
  }
  await file.close();
  return {
    temporaryPath,
    warnings,
    commit: async () => {
      try {
        await rename(temporaryPath, target);
        await syncDirectory(directory);
      } catch (thrown) {
        await unlink(temporaryPath).catch(() => undefined);
        throw failure(target, thrown);
      }
    },
    discard: async () => {
      await unlink(temporaryPath).catch(() => undefined);
    },
  };
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function failure(path: string, thrown: unknown): ClusterduckError {
  const problem =
    hasCode(thrown, "EACCES") || hasCode(thrown, "EPERM")
      ? `${messageOf(thrown)}: the file's directory must be writable for clusterduck`
      : `${messageOf(thrown)}${whatHelps(path, thrown)}`;
  return new ClusterduckError("DISK_FAILED", `Cannot write "${path}": ${problem}`, { cause: thrown });
}

/** To follow the system's words; empty when there is nothing to add. */
function whatHelps(path: string, thrown: unknown): string {
  if (hasCode(thrown, "ELOOP")) return ": the symbolic link leads back to itself, make it lead to a file";
  if (hasCode(thrown, "EISDIR")) return ": give the path of a file, this is a directory";
  if (hasCode(thrown, "ENOENT") || hasCode(thrown, "ENOTDIR"))
    return `: make the directory "${dirname(path)}", or change the path`;
  return hasCode(thrown, "ENOSPC") ? ": free space on the disk" : "";
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === code;
}
