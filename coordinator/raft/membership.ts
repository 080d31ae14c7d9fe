/** Voters count for quorums; learners receive the log and catch up before they are promoted. */
export type Member = {
  readonly id: string;
  readonly role: "voter" | "learner";
  /** Where peers reach it. The core only carries it. */
  readonly address: string;
};

/** All members, sorted by id. Empty where a member does not know its tier yet. */
export type Membership = readonly Member[];

export const NO_MEMBERS: Membership = [];

/** At most one voter more or less, so that any quorum before and after have a member in common. */
export type MembershipChange =
  /** Adds a learner. */
  | { readonly kind: "add"; readonly id: string; readonly address: string }
  /** Makes a learner a voter. */
  | { readonly kind: "promote"; readonly id: string }
  /** Makes a voter a learner. */
  | { readonly kind: "demote"; readonly id: string }
  | { readonly kind: "remove"; readonly id: string }
  /** Gives a member another address. */
  | { readonly kind: "move"; readonly id: string; readonly address: string };

/** Why a change was not taken. Nothing of it has happened. */
export type MembershipRefusal =
  | "notLeader"
  | "transferring"
  | "tooManyUncommitted"
  /** The leader has not committed an entry of its own term yet: ask again in a moment. */
  | "termNotCommitted"
  /** The change before is not committed yet: ask again when it is. */
  | "changeInProgress"
  | "alreadyMember"
  | "notMember"
  /** `promote` is for learners. */
  | "alreadyVoter"
  /** `demote` is for voters. */
  | "notVoter"
  | "lastVoter"
  /** The learner has not caught up: ask again later. */
  | "learnerLags"
  /** Too few of the voters that would remain are in contact: the tier could not commit anything any more. */
  | "quorumAway";
