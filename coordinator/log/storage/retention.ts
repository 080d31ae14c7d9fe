import { join } from "node:path";
import type { Disk } from "./disk.js";
import type { SegmentName } from "./segment.js";
import { listSnapshots } from "./snapshot-file.js";

/** A damaged newest snapshot can be replaced by the one before and the log after that. */
const SNAPSHOTS_KEPT = 2;

/**
 * Removes snapshots but the newest ones, and segments that even the oldest of those replaces.
 * @param segments oldest first; those that are removed leave the list, also when a later one cannot be.
 * @throws ClusterduckError DISK_FAILED: what should be gone is merely still there.
 */
export async function prune(disk: Disk, directory: string, segments: SegmentName[]): Promise<void> {
  const snapshots = listSnapshots(await disk.list(directory));
  const kept = snapshots.slice(-SNAPSHOTS_KEPT);
  const oldest = kept.length < SNAPSHOTS_KEPT ? 0 : (kept[0]?.last.index ?? 0);
  for (const snapshot of snapshots.slice(0, -SNAPSHOTS_KEPT)) {
    await disk.remove(join(directory, snapshot.file));
  }
  // A segment is needed as long as the next one does not begin at or before the first entry needed.
  for (;;) {
    const [first, second] = segments;
    if (first === undefined || second === undefined || second.firstIndex > oldest + 1) break;
    await disk.remove(join(directory, first.file));
    segments.shift();
  }
  await disk.syncDirectory(directory);
}
