import { dirname } from "node:path";
import { isDiskFull } from "./disk.js";
import type { Disk, DiskFile } from "./disk.js";

const INCOMPLETE = ".tmp";

/**
 * Makes a file that is there and whole, or is not there at all, whenever the machine stops: it gets its name
 * only once all of it is on the medium.
 * @throws ClusterduckError DISK_FULL (nothing is left behind) or DISK_FAILED.
 */
export async function createWhole(
  disk: Disk,
  path: string,
  fill: (file: DiskFile) => Promise<void>,
): Promise<void> {
  const temporary = `${path}${INCOMPLETE}`;
  const file = await disk.open(temporary, "create");
  try {
    await fill(file);
    await file.sync();
    await file.close();
    await disk.rename(temporary, path);
    await disk.syncDirectory(dirname(path));
  } catch (thrown) {
    await file.close().catch(() => undefined);
    if (isDiskFull(thrown)) await disk.remove(temporary);
    throw thrown;
  }
}

/** Whether a process died before this file was whole. */
export function isIncomplete(name: string): boolean {
  return name.endsWith(INCOMPLETE);
}
