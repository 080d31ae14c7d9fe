import { join } from "node:path";
import type { Disk } from "./disk.js";
import { replay } from "./replay.js";
import type { Replay } from "./replay.js";
import { parseSegmentFile, readSegment } from "./segment.js";
import type { SegmentContent } from "./segment.js";
import { listSnapshots } from "./snapshot-file.js";
import type { SnapshotName } from "./snapshot-file.js";
import { isIncomplete } from "./whole-file.js";

/** Everything a data directory holds, read but not judged. */
export type DirectoryContent = {
  readonly segments: readonly SegmentContent[];
  readonly snapshots: readonly SnapshotName[];
  readonly replay: Replay;
  /** Left behind by a process that died before they were complete. */
  readonly leftovers: readonly string[];
};

export async function readDirectory(disk: Disk, directory: string): Promise<DirectoryContent> {
  const files = await disk.list(directory);
  const names = files
    .map(parseSegmentFile)
    .filter((name) => name !== null)
    .sort((a, b) => a.sequence - b.sequence);
  const segments: SegmentContent[] = [];
  let chain: number | null = null;
  for (const name of names) {
    const path = join(directory, name.file);
    const segment = readSegment(path, name, await disk.read(path), chain);
    segments.push(segment);
    chain = segment.end.chain;
  }
  return {
    segments,
    snapshots: listSnapshots(files),
    replay: replay(directory, segments),
    leftovers: files.filter(isIncomplete),
  };
}
