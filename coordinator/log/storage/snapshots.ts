import { join } from "node:path";
import type { Clock } from "../../../common/clock.js";
import { ClusterduckError } from "../../../common/errors.js";
import type { Membership } from "../../raft/membership.js";
import type { LogPosition } from "../replicated-log.js";
import { realDisk } from "./disk.js";
import type { Disk } from "./disk.js";
import { parseSegmentFile, createSegment } from "./segment.js";
import {
  headerMembers,
  parseSnapshotFile,
  readSnapshotFile,
  snapshotPath,
  writeSnapshotFile,
} from "./snapshot-file.js";
import type { SnapshotHeader } from "./snapshot-file.js";

const SEGMENT_BYTES = 8 * 1024 * 1024;

export type RestoreOptions = {
  readonly directory: string;
  readonly snapshotPath: string;
  readonly memberId: string;
  readonly clock: Clock;
  readonly disk?: Disk;
};

/** Reads and checks a snapshot file. @throws ClusterduckError LOG_CORRUPT, DISK_FAILED, VERSION_UNSUPPORTED. */
export async function inspectSnapshot(path: string, disk: Disk = realDisk): Promise<SnapshotHeader> {
  return (await readSnapshotFile(disk, path)).header;
}

/**
 * Makes a data directory begin with a snapshot. What was there moves into a folder beside it, so that
 * nothing is destroyed. For a coordinator that is stopped; the others of its tier must be restored alike.
 * @throws ClusterduckError LOG_LOCKED, LOG_CORRUPT (the snapshot), CONFIG_INVALID (it is of a tier that this
 *   member is not in), DISK_FULL, DISK_FAILED.
 */
export async function restoreSnapshot(
  options: RestoreOptions,
): Promise<{ readonly last: LogPosition; readonly movedTo: string | null }> {
  const { directory, memberId, clock, disk = realDisk } = options;
  const { last, data, header } = await readSnapshotFile(disk, options.snapshotPath);
  const membership = membersFor(memberId, header, options.snapshotPath);
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  try {
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
      hardState: { term: last.term, vote: null, commit: last.index },
      records: [{ kind: "base", position: last }],
      chain: 0,
      bytes: SEGMENT_BYTES,
    });
    await segment.file.close();
    return { last, movedTo };
  } finally {
    await lock.release();
  }
}

/** Whoever begins with the snapshot of a tier of one is that one from now on, under its own name. */
function membersFor(memberId: string, header: SnapshotHeader, path: string): Membership {
  const { membership, members } = header;
  if (membership === undefined || membership.length < 2) {
    return [{ id: memberId, role: "voter", address: membership?.[0]?.address ?? "" }];
  }
  if (membership.some(({ id }) => id === memberId)) return membership;
  throw new ClusterduckError(
    "CONFIG_INVALID",
    `Cannot restore snapshot "${path}" for coordinator "${memberId}": its tier has the members ${members.join(", ")}`,
    { hint: "Set coordinator.id to one of them, and restore the others alike" },
  );
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
  // Newest first: should this be interrupted, a log without its end is left, which a restore moves again.
  for (const file of [...files].reverse()) await disk.rename(join(directory, file), join(target, file));
  await disk.syncDirectory(target);
  await disk.syncDirectory(directory);
  return target;
}
