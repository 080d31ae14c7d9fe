import type { Random } from "../../common/random.js";
import type { Entry } from "./entry.js";
import type { HardState } from "./hard-state.js";
import type { SnapshotMark } from "./message.js";

/** Time is counted in ticks; the runner says how long one is (50 ms, unless the operator says otherwise). */
export type RaftConfig = {
  readonly id: string;
  /** For election timeouts. Different members need different sequences. */
  readonly random: Random;
  /** Ticks between a leader's heartbeats. */
  readonly heartbeatTicks: number;
  /**
   * Silence of the leader after which a follower campaigns: this many ticks, up to twice as many by
   * chance. A leader without a quorum, or with a write that takes longer, steps down after it. Several
   * times `heartbeatTicks`, and far above the round trip and a usual sync.
   */
  readonly electionTicks: number;
  /** Entries of one append message. */
  readonly maxAppendBytes: number;
  /** Append messages on the way to one peer, and their bytes. Raise both for long fat links. */
  readonly maxInflightMessages: number;
  readonly maxInflightBytes: number;
  /** Entries that wait for a quorum; beyond this proposals are refused. Bounds memory while a quorum is away. */
  readonly maxUncommittedBytes: number;
  /** Committed entries handed out by one `ready()`. */
  readonly maxCommittedBytes: number;
  /** Entries that a learner may lack when it is promoted; what it lacks delays the next commits. */
  readonly maxPromotionLag: number;
};

export const RAFT_DEFAULTS: Omit<RaftConfig, "id" | "random"> = {
  heartbeatTicks: 2,
  electionTicks: 20,
  maxAppendBytes: 1024 * 1024,
  maxInflightMessages: 64,
  maxInflightBytes: 16 * 1024 * 1024,
  maxUncommittedBytes: 64 * 1024 * 1024,
  maxCommittedBytes: 4 * 1024 * 1024,
  maxPromotionLag: 100,
};

/** What storage holds at a start. */
export type RestoredState = {
  readonly hardState: HardState;
  /**
   * What the first entry follows: the newest snapshot, or position 0 with the members that a tier began
   * with (none for a member that waits to be added by the others).
   */
  readonly base: SnapshotMark;
  readonly entries: readonly Entry[];
};
