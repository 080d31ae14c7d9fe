import { join } from "node:path";
import type { Clock } from "../../../common/clock.js";
import { ClusterduckError } from "../../../common/errors.js";
import { findMember } from "../../raft/membership.js";
import type { Membership } from "../../raft/membership.js";
import type { LogPosition } from "../replicated-log.js";
import { realDisk } from "./disk.js";
import type { Disk } from "./disk.js";
import { readDirectory } from "./read-directory.js";
import { createSegment, parseSegmentFile, SEGMENT_BYTES } from "./segment.js";
import {
  headerMembers,
  parseSnapshotFile,
  readSnapshotFile,
  snapshotPath,
  writeSnapshotFile,
} from "./snapshot-file.js";
import type { SnapshotHeader } from "./snapshot-file.js";
import { termBeyond } from "./term-beyond.js";
import { beginRestore, endRestore, unfinishedRestoreTerm } from "./unfinished-restore.js";

export type RestoreOptions = {
  readonly directory: string;
  readonly snapshotPath: string;
  readonly memberId: string;
  readonly clock: Clock;
  readonly disk?: Disk;
  readonly segmentBytes?: number;
  /** Awaited when nothing stands in the way any more, before anything is replaced. */
  readonly beforeReplacing?: () => Promise<void>;
};

/** Reads and checks a snapshot file. @throws ClusterduckError LOG_CORRUPT, DISK_FAILED, VERSION_UNSUPPORTED. */
export async function inspectSnapshot(path: string, disk: Disk = realDisk): Promise<SnapshotHeader> {
  return (await readSnapshotFile(disk, path)).header;
}

/**
 * Makes a data directory begin with a snapshot, for a coordinator that is stopped. It is the only member then,
 * whichever tier the snapshot is of. What was there moves into a folder beside it, so that nothing is destroyed.
 * Interrupted, it leaves a directory that nobody begins from before it was repeated.
 * @throws ClusterduckError LOG_LOCKED, LOG_CORRUPT (the snapshot), DISK_FULL, DISK_FAILED.
 */
export async function restoreSnapshot(
  options: RestoreOptions,
): Promise<{ readonly last: LogPosition; readonly movedTo: string | null }> {
  const { directory, memberId, clock, disk = realDisk } = options;
  const { last, data, header } = await readSnapshotFile(disk, options.snapshotPath);
  const membership = aloneAs(memberId, header);
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  try {
    const term = Math.max(last.term, await lastTermIn(disk, directory));
    await beginRestore(disk, directory, term);
    await options.beforeReplacing?.();
    const movedTo = await moveAside(disk, directory, clock.wallMs());
    const wish = {
      memberId,
      clusterId: header.clusterId,
      last,
      ...headerMembers(membership),
      createdAtMs: header.createdAtMs,
    };
    await writeSnapshotFile(disk, snapshotPath(directory, last), wish, data);
    const segment = await createSegment({
      disk,
      directory,
      header: { memberId, clusterId: header.clusterId, sequence: 1, firstIndex: last.index + 1 },
      hardState: { term: termBeyond(term), vote: null, commit: last.index },
      records: [{ kind: "base", position: last }],
      chain: 0,
      bytes: options.segmentBytes ?? SEGMENT_BYTES,
    });
    await segment.file.close();
    await endRestore(disk, directory);
    return { last, movedTo };
  } finally {
    await lock.release();
  }
}

/** The others go on, or are lost: neither is to be waited for. */
function aloneAs(memberId: string, { membership = [] }: SnapshotHeader): Membership {
  const known = findMember(membership, memberId) ?? (membership.length === 1 ? membership[0] : undefined);
  return [{ id: memberId, role: "voter", address: known?.address ?? "" }];
}

/** The last term that the log to be replaced has seen. A damaged one tells what it can: it is being replaced for that. */
async function lastTermIn(disk: Disk, directory: string): Promise<number> {
  const noted = await unfinishedRestoreTerm(disk, directory);
  try {
    return Math.max(noted, (await readDirectory(disk, directory)).replay.hardState.term);
  } catch (thrown) {
    if (thrown instanceof ClusterduckError) return noted;
    throw thrown;
  }
}

async function moveAside(disk: Disk, directory: string, nowMs: number): Promise<string | null> {
  const files = (await disk.list(directory)).filter(
    (file) => parseSegmentFile(file) !== null || parseSnapshotFile(file) !== null,
  );
  if (files.length === 0) return null;
  const target = join(directory, `replaced-${nowMs}`);
  if ((await disk.list(target)).length > 0) {
    throw new ClusterduckError("CONFLICT", `Cannot move the old log to "${target}": there is one already`);
  }
  await disk.makeDirectory(target);
  for (const file of files) await disk.rename(join(directory, file), join(target, file));
  await disk.syncDirectory(target);
  await disk.syncDirectory(directory);
  return target;
}
