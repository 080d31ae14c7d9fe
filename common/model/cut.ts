import type { NodeRef, NodeState } from "./node.js";
import type { Outcome, Reason } from "./observation.js";

/** One observer's last word on one check, as a voter knew it. Kept in the log so that `explain` needs no other source. */
export type BallotEvidence = {
  /** Agent id, or `coordinator:ID` for a coordinator's own probe. */
  readonly observer: string;
  readonly check: string;
  readonly outcome: Outcome;
  readonly reason: Reason | null;
  /** Raw error text. */
  readonly detail: string;
  /** Milliseconds since the check ended, when the vote was cast. */
  readonly ageMs: number;
  readonly latencyMs: number;
  readonly consecutive: number;
  /** `fall` for failures, `rise` for passes. */
  readonly threshold: number;
  readonly isConclusive: boolean;
  readonly isAbstaining: boolean;
};

/** What one coordinator believes of one node, and why. */
export type Ballot = {
  readonly voter: string;
  readonly verdict: NodeState;
  /** The rule that led to the verdict, in words. */
  readonly rule: string;
  readonly evidence: readonly BallotEvidence[];
};

/** One node's change inside a cut. */
export type Transition = {
  readonly node: NodeRef;
  /** The node's epoch when the vote was cast: a node removed and added again is another node. */
  readonly epoch: number;
  readonly from: NodeState;
  readonly to: NodeState;
  readonly cause: string;
  /** Dead for certain: exempt from budgets, and not routed to even in panic. */
  readonly isConclusive: boolean;
  readonly ballots: readonly Ballot[];
};
