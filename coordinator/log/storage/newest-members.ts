import type { Entry } from "../../raft/entry.js";
import { decodeMembership, NO_MEMBERS } from "../../raft/membership.js";
import type { Membership } from "../../raft/membership.js";
import { join } from "node:path";
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
 * The members as the log in a directory has them, as far as it can be read; none where it says nothing.
 * @throws ClusterduckError DISK_FAILED, VERSION_UNSUPPORTED.
 */
export async function readNewestMembers(directory: string, disk: Disk = realDisk): Promise<Membership> {
  const { replay, snapshots } = await readDirectory(disk, directory);
  for (const { file, last } of [...snapshots].reverse()) {
    const decoded = decodeSnapshot(await disk.read(join(directory, file)));
    if (!decoded.isIntact) continue;
    const since = replay.entries.filter(({ index }) => index > last.index);
    return newestMembers(membersOf(decoded.header), since);
  }
  return newestMembers(NO_MEMBERS, replay.entries);
}
