/**
 * A file that stands in a data directory while a snapshot takes the place of its log. Until that is done the
 * directory may hold a part of either, which looks whole, and nobody may begin from it.
 */
import { join } from "node:path";
import { ClusterduckError } from "../../../common/errors.js";
import type { Disk } from "./disk.js";
import { createWhole } from "./whole-file.js";

export const UNFINISHED_RESTORE = "restore.unfinished";

/** `term`: the highest that the log which is being replaced has seen. Durable when it resolves. */
export async function beginRestore(disk: Disk, directory: string, term: number): Promise<void> {
  const text = new TextEncoder().encode(`${JSON.stringify({ term })}\n`);
  await createWhole(disk, join(directory, UNFINISHED_RESTORE), (file) => file.write(text, 0));
}

/** Durable when it resolves. */
export async function endRestore(disk: Disk, directory: string): Promise<void> {
  await disk.remove(join(directory, UNFINISHED_RESTORE));
  await disk.syncDirectory(directory);
}

/** The term that an interrupted restore has noted of the log that it was about to replace; 0: none that can be read. */
export async function unfinishedRestoreTerm(disk: Disk, directory: string): Promise<number> {
  if (!(await disk.list(directory)).includes(UNFINISHED_RESTORE)) return 0;
  const text = new TextDecoder().decode(await disk.read(join(directory, UNFINISHED_RESTORE)));
  return Number(/^\{"term":(\d{1,15})\}\n$/.exec(text)?.[1] ?? 0);
}

/** @throws ClusterduckError LOG_CORRUPT when a restore was interrupted here. */
export async function assertNoUnfinishedRestore(disk: Disk, directory: string): Promise<void> {
  if (!(await disk.list(directory)).includes(UNFINISHED_RESTORE)) return;
  throw new ClusterduckError(
    "LOG_CORRUPT",
    `Cannot use the log in "${directory}": a restore of a snapshot was interrupted there, and what it holds may be a part only`,
    {
      hint: `Repeat it: duck-coordinator snapshot restore FILE. What was there before is in "${join(directory, "replaced-*")}"`,
    },
  );
}
