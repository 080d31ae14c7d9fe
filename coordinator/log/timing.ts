import { ClusterduckError } from "../../common/errors.js";
import { RAFT_DEFAULTS } from "../raft/config.js";
import type { RaftConfig } from "../raft/config.js";

/** How fast a tier notices that its leader is gone. All members should agree on it. */
export type RaftTiming = {
  /** Between two signs of life of a leader, milliseconds. Raise it where the round trip is long. */
  readonly heartbeatMs: number;
  /**
   * Silence after which a follower asks for an election: this long, up to twice as long by chance,
   * milliseconds. Raise it where disks or hosts stall: a leader whose write takes longer steps down.
   */
  readonly electionMs: number;
};

export const RAFT_TIMING_DEFAULTS: RaftTiming = { heartbeatMs: 100, electionMs: 1_000 };

/** Fewer heartbeats than this, and a single one that is late causes an election. */
const HEARTBEATS_PER_ELECTION_MIN = 5;
/** Timers are not more exact than this. */
const HEARTBEAT_MIN_MS = 5;
/** Beyond this a tier without a leader looks dead to everybody. */
const ELECTION_MAX_MS = 50_000;

/** How long one tick is, and what the timing is in ticks. */
export type Ticks = Pick<RaftConfig, "heartbeatTicks" | "electionTicks"> & { readonly tickMs: number };

/** @throws ClusterduckError CONFIG_INVALID when the two do not fit each other. */
export function ticksOf({ heartbeatMs, electionMs }: RaftTiming): Ticks {
  if (!(heartbeatMs >= HEARTBEAT_MIN_MS)) {
    throw invalid(`heartbeatMs is ${heartbeatMs}, must be at least ${HEARTBEAT_MIN_MS}`);
  }
  if (!(electionMs >= heartbeatMs * HEARTBEATS_PER_ELECTION_MIN)) {
    const least = heartbeatMs * HEARTBEATS_PER_ELECTION_MIN;
    throw invalid(
      `electionMs is ${electionMs}, must be at least ${least}, which is ${HEARTBEATS_PER_ELECTION_MIN} times heartbeatMs`,
    );
  }
  if (electionMs > ELECTION_MAX_MS)
    throw invalid(`electionMs is ${electionMs}, must be at most ${ELECTION_MAX_MS}`);
  const { heartbeatTicks } = RAFT_DEFAULTS;
  const tickMs = heartbeatMs / heartbeatTicks;
  return { tickMs, heartbeatTicks, electionTicks: Math.round(electionMs / tickMs) };
}

function invalid(problem: string): ClusterduckError {
  return new ClusterduckError("CONFIG_INVALID", `Cannot time the coordinators' log: ${problem}`);
}
