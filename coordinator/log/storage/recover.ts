import { join } from "node:path";
import { ClusterduckError } from "../../../common/errors.js";
import type { Logger } from "../../../common/logger.js";
import type { Entry } from "../../raft/entry.js";
import { NO_HARD_STATE } from "../../raft/hard-state.js";
import type { HardState } from "../../raft/hard-state.js";
import { NO_MEMBERS } from "../../raft/membership.js";
import type { Membership } from "../../raft/membership.js";
import type { LogPosition } from "../replicated-log.js";
import type { Disk } from "./disk.js";
import { readDirectory } from "./read-directory.js";
import type { DirectoryContent } from "./read-directory.js";
import type { Damage } from "./replay.js";
import { createSegment } from "./segment.js";
import type { Segment, SegmentName } from "./segment.js";
import { decodeSnapshot, snapshotCorrupt } from "./snapshot-file.js";
import { assertNoUnfinishedRestore } from "./unfinished-restore.js";

export type RecoverOptions = {
  readonly directory: string;
  readonly memberId: string;
  readonly clusterId: string;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly segmentBytes: number;
};

/** What a directory holds, mended where a crash had cut a write short, and ready for the next write. */
export type Recovered = {
  readonly segment: Segment;
  readonly segments: readonly SegmentName[];
  readonly hardState: HardState;
  readonly base: LogPosition;
  /** As of the base. */
  readonly membership: Membership;
  readonly entries: readonly Entry[];
  /** The newest snapshot is not a position of this log: a record must say that the log now follows it. */
  readonly needsBaseMark: boolean;
  /** Written by a coordinator that could only stand alone: no entry and no snapshot names the members. */
  readonly isOfLoneMember: boolean;
};

export const RESTORE = "Restore a snapshot: duck-coordinator snapshot restore FILE";

/**
 * What helps a member of a tier. A snapshot would make it forget what it acknowledged and whom it voted for, which
 * can cost the whole tier what a majority had: that is for when the others are lost as well.
 */
export function replaceMember({
  memberId,
  directory,
}: Pick<RecoverOptions, "memberId" | "directory">): string {
  return (
    `While a majority of the other coordinators works, replace this one. On one of them: duckctl coordinators remove ${memberId}; ` +
    `then move "${directory}" away, give this one another coordinator.id and let it join: duckctl coordinators add ID. ` +
    "Only when the others are lost too: duck-coordinator snapshot restore FILE"
  );
}

/**
 * Reads everything, refuses damage, cuts off a torn tail. The directory must be locked.
 * @throws ClusterduckError LOG_CORRUPT, VERSION_UNSUPPORTED, CONFIG_INVALID, DISK_FULL, DISK_FAILED.
 */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { disk, directory } = options;
  await assertNoUnfinishedRestore(disk, directory);
  const content = await readDirectory(disk, directory);
  for (const file of content.leftovers) await disk.remove(join(directory, file));
  const { damage } = content.replay;
  if (damage !== null) throw corrupt(damage, content, options);
  if (content.segments.length === 0) return begin(options, content);
  checkIdentity(options, content);
  const { base, membership, entries, needsBaseMark } = await joinSnapshot(options, content);
  return {
    segment: await openLastSegment(options, content),
    segments: content.segments.map((segment) => segment.name),
    hardState: content.replay.hardState,
    base,
    membership: membership ?? NO_MEMBERS,
    entries,
    needsBaseMark,
    isOfLoneMember:
      content.segments.every(({ header }) => header?.version === 1) &&
      membership === null &&
      !entries.some(({ kind }) => kind === "members"),
  };
}

async function begin(options: RecoverOptions, content: DirectoryContent): Promise<Recovered> {
  const { disk, directory, memberId, clusterId } = options;
  const snapshot = content.snapshots.at(-1);
  if (snapshot !== undefined) {
    const damage = {
      file: join(directory, snapshot.file),
      offset: 0,
      found: "a snapshot, but no log segment",
    };
    throw corrupt(damage, content, options);
  }
  const segment = await createSegment({
    disk,
    directory,
    header: { memberId, clusterId, sequence: 1, firstIndex: 1 },
    hardState: NO_HARD_STATE,
    records: [],
    chain: 0,
    bytes: options.segmentBytes,
  });
  const base = { index: 0, term: 0 };
  const segments = [segment.name];
  return {
    segment,
    segments,
    hardState: NO_HARD_STATE,
    base,
    membership: NO_MEMBERS,
    entries: [],
    needsBaseMark: false,
    isOfLoneMember: false,
  };
}

function checkIdentity(options: RecoverOptions, content: DirectoryContent): void {
  const { identity } = content.replay;
  if (identity === null) return;
  const { directory, memberId, clusterId } = options;
  if (identity.memberId !== memberId) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot open log "${directory}": it belongs to coordinator "${identity.memberId}", this is "${memberId}"`,
      { hint: `Set coordinator.id to "${identity.memberId}", or coordinator.data_dir to another directory` },
    );
  }
  if (identity.clusterId !== "" && clusterId !== "" && identity.clusterId !== clusterId) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot open log "${directory}": it belongs to cluster ${identity.clusterId}, not ${clusterId}`,
      { hint: "Set coordinator.data_dir to another directory" },
    );
  }
}

async function joinSnapshot(
  options: RecoverOptions,
  content: DirectoryContent,
): Promise<
  Pick<Recovered, "base" | "entries" | "needsBaseMark"> & { readonly membership: Membership | null }
> {
  const { directory, disk } = options;
  const { base, entries } = content.replay;
  const newest = content.snapshots.at(-1);
  if (newest === undefined) {
    if (base.index === 0) return { base, membership: null, entries, needsBaseMark: false };
    const [first] = content.segments;
    const file = join(directory, first?.name.file ?? "");
    throw corrupt(
      { file, offset: 0, found: `entry ${base.index + 1} as the first, and no snapshot of those before` },
      content,
      options,
    );
  }
  const path = join(directory, newest.file);
  const decoded = decodeSnapshot(await disk.read(path));
  if (!decoded.isIntact) throw snapshotCorrupt(path, decoded, await wayAround(options, content, path));
  const { last, membership = null } = decoded.header;
  if (base.index > last.index) {
    const found = `a snapshot up to entry ${last.index}, though the log begins with entry ${base.index + 1}`;
    throw corrupt({ file: path, offset: 0, found }, content, options);
  }
  const position = last.index - base.index;
  const isContinued =
    position === 0 ? base.term === 0 || base.term === last.term : entries[position - 1]?.term === last.term;
  if (isContinued) return { base: last, membership, entries: entries.slice(position), needsBaseMark: false };
  return { base: last, membership, entries: [], needsBaseMark: true };
}

/** What helps when the newest snapshot is damaged: often the one before, and the log since, are whole. */
async function wayAround(options: RecoverOptions, content: DirectoryContent, path: string): Promise<string> {
  const { base } = content.replay;
  const away = `Move "${path}" away and start again:`;
  if (base.index === 0) return `${away} the log still holds every entry, nothing is lost`;
  for (const older of content.snapshots.slice(0, -1).reverse()) {
    const decoded = decodeSnapshot(await options.disk.read(join(options.directory, older.file)));
    if (decoded.isIntact && base.index <= decoded.header.last.index) {
      return `${away} the snapshot of entry ${decoded.header.last.index} and the log after it are whole, nothing is lost`;
    }
  }
  return isOfTier(options) ? replaceMember(options) : RESTORE;
}

/** Opens the last segment for writing, and makes what follows its last whole frame zero again. */
async function openLastSegment(options: RecoverOptions, content: DirectoryContent): Promise<Segment> {
  const last = content.segments.at(-1);
  const end = content.replay.end;
  if (last === undefined || end === null) throw new Error("There is no segment to open");
  const path = join(options.directory, last.name.file);
  const file = await options.disk.open(path, "update");
  if (end.kind === "torn") {
    await file.write(new Uint8Array(last.bytes - end.offset), end.offset);
    options.logger.warn("log.torn_tail_cut", { file: path, offset: end.offset, found: end.found });
  }
  // The process before may have died between a write and its sync; from now on these entries count.
  await file.sync();
  await options.disk.syncDirectory(options.directory);
  return { name: last.name, path, file, bytes: last.bytes, offset: end.offset, chain: end.chain };
}

/** A coordinator that stands alone does not know the name of a tier. */
function isOfTier({ clusterId }: RecoverOptions): boolean {
  return clusterId !== "";
}

function corrupt(damage: Damage, content: DirectoryContent, options: RecoverOptions): ClusterduckError {
  const { directory } = options;
  const newest = content.snapshots.at(-1);
  const hint = isOfTier(options)
    ? replaceMember(options)
    : newest === undefined
      ? RESTORE
      : `Restore a newer snapshot if you have one, or the last of this directory, which ends with entry ${newest.last.index}: ` +
        `duck-coordinator snapshot restore "${join(directory, newest.file)}"`;
  return new ClusterduckError(
    "LOG_CORRUPT",
    `Log "${directory}" is damaged: "${damage.file}" holds ${damage.found} at offset ${damage.offset}`,
    { hint },
  );
}
