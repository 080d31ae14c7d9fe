import { lstatSync, readlinkSync } from "node:fs";
import type { Stats } from "node:fs";

/**
 * What stands at a path that is no regular file, in words: `a device`, `a symbolic link to "/x"`. Null: a regular
 * file, or nothing at all. To replace such a thing by a file would destroy what other programs use.
 * @throws what the system says, where the path cannot be looked at.
 */
export function irregularFile(path: string): string | null {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return null;
  return found.isSymbolicLink() ? `a symbolic link to "${readlinkSync(path)}"` : describeIrregular(found);
}

/** As `irregularFile`, of what `stat` found at the end of any links. */
export function describeIrregular(found: Stats): string | null {
  if (found.isFile()) return null;
  if (found.isDirectory()) return "a directory";
  if (found.isFIFO()) return "a named pipe";
  if (found.isSocket()) return "a socket";
  return "a device";
}
