import { join } from "node:path";
import { messageOf } from "../../../common/errors.js";
import type { LogPosition } from "../replicated-log.js";
import { realDisk } from "./disk.js";
import type { Disk } from "./disk.js";
import { readDirectory } from "./read-directory.js";
import type { DirectoryContent } from "./read-directory.js";
import type { Damage } from "./replay.js";
import { decodeSnapshot } from "./snapshot-file.js";
import { UNFINISHED_RESTORE } from "./unfinished-restore.js";

/** What `duck-coordinator log verify` prints. */
export type LogReport = {
  readonly directory: string;
  /** Empty when no segment header can be read. */
  readonly memberId: string;
  readonly term: number;
  readonly segments: readonly {
    readonly file: string;
    readonly bytes: number;
    readonly usedBytes: number;
    readonly entries: number;
    /** 0 without entries. */
    readonly firstIndex: number;
    readonly lastIndex: number;
    readonly end: "clean" | "torn" | "corrupt";
  }[];
  readonly snapshots: readonly {
    readonly file: string;
    readonly last: LogPosition;
    readonly isIntact: boolean;
  }[];
  /** Position of the last whole entry. */
  readonly last: LogPosition;
  /** An incomplete last write, which the next start cuts off; it was never acknowledged. */
  readonly torn: Damage | null;
  /** Empty: the log is intact. */
  readonly damages: readonly Damage[];
};

/**
 * Reads every byte of a data directory and changes nothing. While a coordinator writes there, its last
 * write can look torn.
 * @throws ClusterduckError DISK_FAILED, VERSION_UNSUPPORTED.
 */
export async function verifyLog(directory: string, disk: Disk = realDisk): Promise<LogReport> {
  const content = await readDirectory(disk, directory);
  const { replay } = content;
  const { snapshots, damages: snapshotDamages } = await checkSnapshots(directory, disk, content);
  const lastSegment = content.segments.at(-1);
  const damages = [...(replay.damage === null ? [] : [replay.damage]), ...snapshotDamages];
  if ((await disk.list(directory)).includes(UNFINISHED_RESTORE)) {
    const found = "the mark of a restore that was interrupted: what stands beside it may be a part only";
    damages.push({ file: join(directory, UNFINISHED_RESTORE), offset: 0, found });
  }
  const newest = snapshots.filter((snapshot) => snapshot.isIntact).at(-1)?.last ?? { index: 0, term: 0 };
  if (replay.base.index > newest.index && content.segments.length > 0) {
    const found = `entry ${replay.base.index + 1} as the first, and no intact snapshot of those before`;
    damages.push({ file: join(directory, content.segments[0]?.name.file ?? ""), offset: 0, found });
  }
  const lastEntry = replay.entries.at(-1);
  return {
    directory,
    memberId: replay.identity?.memberId ?? "",
    term: replay.hardState.term,
    segments: content.segments.map((segment) => {
      const entries = segment.records.filter((record) => record.kind === "entry");
      return {
        file: segment.name.file,
        bytes: segment.bytes,
        usedBytes: segment.end.offset,
        entries: entries.length,
        firstIndex: entries[0]?.entry.index ?? 0,
        lastIndex: entries.at(-1)?.entry.index ?? 0,
        end: segment.end.kind,
      };
    }),
    snapshots,
    last:
      lastEntry === undefined || lastEntry.index < newest.index
        ? newest
        : { index: lastEntry.index, term: lastEntry.term },
    torn:
      lastSegment?.end.kind === "torn" && replay.damage === null
        ? {
            file: join(directory, lastSegment.name.file),
            offset: lastSegment.end.offset,
            found: lastSegment.end.found,
          }
        : null,
    damages,
  };
}

async function checkSnapshots(
  directory: string,
  disk: Disk,
  content: DirectoryContent,
): Promise<{ readonly snapshots: LogReport["snapshots"]; readonly damages: readonly Damage[] }> {
  const snapshots: LogReport["snapshots"][number][] = [];
  const damages: Damage[] = [];
  for (const { file, last } of content.snapshots) {
    const path = join(directory, file);
    let damage: Damage | null = null;
    try {
      const decoded = decodeSnapshot(await disk.read(path));
      if (!decoded.isIntact) damage = { file: path, offset: decoded.offset, found: decoded.found };
    } catch (thrown) {
      damage = { file: path, offset: 0, found: messageOf(thrown) };
    }
    if (damage !== null) damages.push(damage);
    snapshots.push({ file, last, isIntact: damage === null });
  }
  return { snapshots, damages };
}
