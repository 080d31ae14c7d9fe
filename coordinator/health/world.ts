/** What the decision model reads of the world around it, and the votes that travel between coordinators. */
import type { Ballot } from "../../common/model/cut.js";
import type { NodeRef } from "../../common/model/node.js";
import type { StateView } from "../state/model.js";
import type { Vote } from "./tally.js";

export type DeciderWorld = {
  readonly coordinatorId: string;
  /** A live view of what is committed. */
  readonly state: Pick<StateView, "nodes" | "config" | "panics">;
  /** Configured coordinators. */
  readonly members: () => readonly string[];
  /** The agent beside a node, connected or not; null: nobody is. */
  readonly agentBeside: (node: NodeRef) => string | null;
  /** Empty: not known, and then no zone rule applies. */
  readonly zoneOf: (node: NodeRef) => string;
  /** Whether this coordinator's own probe reaches what is meant: another host's loopback it does not. */
  readonly mayProbe: (node: NodeRef) => boolean;
};

/** Monotonic time of this coordinator, and the leader's time that stands in the log (Unix). Milliseconds. */
export type Now = { readonly nowMs: number; readonly leaderNowMs: number };

/** A coordinator's vote on one node, as it travels to the leader. */
export type MemberVote = Vote & {
  /** The node's, so that a vote on an earlier life of the node does not count. */
  readonly epoch: number;
  /** Of the configuration under which the node was judged; a vote under another one does not count. */
  readonly policyRevision: number;
  readonly ballot: Ballot;
  readonly cause: string;
  readonly isConclusive: boolean;
};

/** A coordinator's own probe, as an observer. */
export function ownObserver(coordinatorId: string): string {
  return `coordinator:${coordinatorId}`;
}
