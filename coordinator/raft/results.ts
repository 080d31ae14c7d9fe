import type { Position } from "./entry.js";
import type { Membership, MembershipRefusal } from "./membership.js";
import type { ProposalRefusal } from "./message.js";

/** Accepted: the payloads are entries from `first` on, in order; lost if another term comes to stand there. */
export type ProposeResult =
  | { readonly isAccepted: true; readonly first: Position }
  | { readonly isAccepted: false; readonly reason: ProposalRefusal };

/** Accepted: `membership` counts from now on, and stays once the entry at `position` is committed. */
export type MembershipResult =
  | { readonly isAccepted: true; readonly position: Position; readonly membership: Membership }
  | { readonly isAccepted: false; readonly reason: MembershipRefusal };

export type TransferRefusal =
  | "notLeader"
  | "alreadyLeader"
  | "notVoter"
  /** The member asked for has not been heard for an election timeout; without one asked for, none has. */
  | "notInContact";

/** Accepted: `to` campaigns as soon as it has the whole log. Given up after one election timeout. */
export type TransferResult =
  | { readonly isAccepted: true; readonly to: string }
  | { readonly isAccepted: false; readonly reason: TransferRefusal };
