import type { Entry } from "./entry.js";
import { invariant } from "./invariant.js";

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
  /** Adds a learner. Under an id that nobody had before: others may remember what its namesake acknowledged. */
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

export type ChangedMembership =
  | { readonly isAccepted: true; readonly membership: Membership }
  | { readonly isAccepted: false; readonly reason: MembershipRefusal };

export function voterIds(membership: Membership): readonly string[] {
  return membership.filter((member) => member.role === "voter").map((member) => member.id);
}

export function findMember(membership: Membership, id: string): Member | undefined {
  return membership.find((member) => member.id === id);
}

/** What becomes of the members. Judges the change by itself; whether now is the time for it, the leader judges. */
export function changeMembership(membership: Membership, change: MembershipChange): ChangedMembership {
  const member = findMember(membership, change.id);
  if (change.kind === "add") {
    if (member !== undefined) return refused("alreadyMember");
    return changed([...membership, { id: change.id, role: "learner", address: change.address }]);
  }
  if (member === undefined) return refused("notMember");
  const isLastVoter = member.role === "voter" && voterIds(membership).length === 1;
  const others = membership.filter((other) => other !== member);
  switch (change.kind) {
    case "promote":
      if (member.role === "voter") return refused("alreadyVoter");
      return changed([...others, { ...member, role: "voter" }]);
    case "demote":
      if (member.role === "learner") return refused("notVoter");
      return isLastVoter ? refused("lastVoter") : changed([...others, { ...member, role: "learner" }]);
    case "remove":
      return isLastVoter ? refused("lastVoter") : changed(others);
    case "move":
      return changed([...others, { ...member, address: change.address }]);
  }
}

function changed(members: Membership): ChangedMembership {
  return { isAccepted: true, membership: sortMembers(members) };
}

function refused(reason: MembershipRefusal): ChangedMembership {
  return { isAccepted: false, reason };
}

/** By code unit, so that every member sees one order whatever its locale. */
function sortMembers(members: Membership): Membership {
  return [...members].sort((left, right) => (left.id < right.id ? -1 : 1));
}

/** Payload of a `members` entry: JSON, which people can read in a dump of the log. */
export function encodeMembership(membership: Membership): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(sortMembers(membership)));
}

/** @throws InvariantViolation when the payload is no membership: entries are checked before they get here. */
export function decodeMembership(payload: Uint8Array): Membership {
  const text = new TextDecoder().decode(payload);
  let members: unknown;
  try {
    members = JSON.parse(text);
  } catch {
    members = undefined;
  }
  invariant(Array.isArray(members) && members.every(isMember), `A members entry holds no members: ${text}`);
  return sortMembers(members.map(({ id, role, address }) => ({ id, role, address })));
}

function isMember(value: unknown): value is Member {
  if (typeof value !== "object" || value === null) return false;
  const { id, role, address } = value as Record<string, unknown>;
  return typeof id === "string" && (role === "voter" || role === "learner") && typeof address === "string";
}

/**
 * The entry that every founding member of a new tier begins its log with, at index 1 of term 1. It is
 * committed from the beginning: all of them were told the same members.
 */
export function foundingEntry(membership: Membership): Entry {
  return { index: 1, term: 1, kind: "members", payload: encodeMembership(membership) };
}
