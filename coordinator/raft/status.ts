import type { Position } from "./entry.js";
import type { Membership } from "./membership.js";
import type { Progress, ProgressState } from "./progress.js";
import type { LeadershipView } from "./ready.js";

/** A look inside, for operators, metrics and tests. */
export type RaftStatus = LeadershipView & {
  readonly id: string;
  readonly vote: string | null;
  readonly commit: number;
  readonly applied: number;
  /** Entries up to here are on this member's disk. */
  readonly persisted: number;
  /** What the first entry in memory follows. */
  readonly base: Position;
  readonly last: Position;
  readonly snapshot: Position;
  readonly membership: Membership;
  /** Where the membership stands in the log; it is settled once that is committed. */
  readonly membershipIndex: number;
  readonly uncommittedBytes: number;
  /** Ticks that the running write takes already; 0 without one. */
  readonly writeTicks: number;
  /** Null unless this member leads and hands over. */
  readonly transferringTo: string | null;
  /** Answers of this member's own election; empty unless it campaigns. */
  readonly votes: readonly { readonly voter: string; readonly isGranted: boolean }[];
  /** Sorted; empty unless this member leads. */
  readonly peers: readonly PeerStatus[];
};

export type PeerStatus = {
  readonly id: string;
  readonly state: ProgressState;
  readonly match: number;
  readonly next: number;
  readonly inflightMessages: number;
  readonly silentTicks: number;
  /** It denies what it has acknowledged: its disk was wiped. Remove it, and add it under another id. */
  readonly hasForgotten: boolean;
};

export function peerStatus(id: string, progress: Progress): PeerStatus {
  const { state, match, next, inflightMessages, silentTicks, hasForgotten } = progress;
  return { id, state, match, next, inflightMessages, silentTicks, hasForgotten };
}
