import { join } from "node:path";
import type { Entry } from "../../raft/entry.js";
import { decodeMembership, NO_MEMBERS } from "../../raft/membership.js";
import type { Membership } from "../../raft/membership.js";
import { realDisk } from "./disk.js";
import type { Disk } from "./disk.js";
import { readDirectory } from "./read-directory.js";
import { decodeSnapshot, membersOf } from "./snapshot-file.js";

/** The members as of the last of `entries`, which follow a position with the members `base`. */
export function newestMembers(base: Membership, entries: readonly Entry[]): Membership {
  const change = entries.filter(({ kind }) => kind === "members").at(-1);
  return change === undefined ? base : decodeMembership(change.payload);
}

/**
 * The members as the log in a directory has them; none where it says nothing. Null: the log is damaged, and those it
 * had last cannot be told.
 * @throws ClusterduckError DISK_FAILED, VERSION_UNSUPPORTED.
 */
export async function readNewestMembers(
  directory: string,
  disk: Disk = realDisk,
): Promise<Membership | null> {
  const { replay, snapshots } = await readDirectory(disk, directory);
  if (replay.damage !== null) return null;
  const newest = snapshots.at(-1);
  if (newest === undefined) return newestMembers(NO_MEMBERS, replay.entries);
  const decoded = decodeSnapshot(await disk.read(join(directory, newest.file)));
  if (!decoded.isIntact) return null;
  const since = replay.entries.filter(({ index }) => index > newest.last.index);
  return newestMembers(membersOf(decoded.header), since);
}
