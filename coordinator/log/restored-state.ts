import type { RestoredState } from "../raft/config.js";
import { encodeMembership, foundingEntry } from "../raft/membership.js";
import type { Membership } from "../raft/membership.js";
import type { LogStorage } from "./storage/log-storage.js";

export type Beginning = {
  readonly memberId: string;
  /** Where other members reach this one; empty when they do not. */
  readonly address: string;
  /** The members of a new tier, or null for one who waits to be added. Counts only where there is no log yet. */
  readonly founding: Membership | null;
};

/**
 * What the core begins with. A new log first gets the founding entry; the log of a coordinator that could
 * only stand alone first gets an entry that names it as the only member.
 * @throws ClusterduckError DISK_FULL, DISK_FAILED.
 */
export async function restoredState(storage: LogStorage, beginning: Beginning): Promise<RestoredState> {
  const { memberId, address, founding } = beginning;
  const isNew = storage.last.index === 0 && storage.hardState.term === 0;
  if (isNew && founding !== null) {
    const entry = foundingEntry(founding);
    const { index, term } = entry;
    await storage.append({ entries: [entry], hardState: { term, vote: null, commit: index } });
  } else if (storage.isOfLoneMember) {
    const alone: Membership = [{ id: memberId, role: "voter", address }];
    const { last } = storage;
    const term = storage.hardState.term + 1;
    const payload = encodeMembership(alone);
    await storage.append({
      entries: [{ index: last.index + 1, term, kind: "members", payload }],
      // Whatever it wrote whole counts as committed: no other member could know better.
      hardState: { term, vote: memberId, commit: last.index + 1 },
    });
  }
  const { hardState, base, membership, entries } = storage;
  return { hardState, base: { last: base, membership }, entries: [...entries] };
}
