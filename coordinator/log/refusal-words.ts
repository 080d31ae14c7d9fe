import { ClusterduckError } from "../../common/errors.js";
import type { MembershipRefusal } from "../raft/membership.js";
import type { TransferRefusal } from "../raft/results.js";

type Words = readonly [problem: string, hint?: string];

const MEMBERSHIP: Readonly<Record<Exclude<MembershipRefusal, "notLeader">, Words>> = {
  transferring: ["leadership is being handed over", "Ask again in a moment"],
  tooManyUncommitted: ["too many changes wait for a majority", "Ask again when the tier has caught up"],
  termNotCommitted: ["the leader has only just taken over", "Ask again in a moment"],
  changeInProgress: ["another change of the members is not committed yet", "Ask again in a moment"],
  alreadyMember: ["it is a member already", "Give the new coordinator another id"],
  notMember: ["it is no member", "The members are listed by: duckctl coordinators list"],
  alreadyVoter: ["it votes already"],
  notVoter: ["it does not vote"],
  lastVoter: ["it is the only one that votes", "Add another member first"],
  learnerLags: ["it has not caught up yet", "Ask again when it has"],
  quorumAway: [
    "of the members that would vote then, too few answer",
    "Start those that are down, or remove one of them first",
  ],
};

const TRANSFER: Readonly<Record<Exclude<TransferRefusal, "notLeader">, Words>> = {
  alreadyLeader: ["it leads already"],
  notVoter: ["it does not vote", "Name a voting member: duckctl coordinators list"],
  notInContact: ["it does not answer", "Start it, or name another member"],
};

/** Nothing of the change has happened. */
export function describeMembershipRefusal(
  action: string,
  reason: MembershipRefusal,
  leaderId: string | null,
): ClusterduckError {
  if (reason === "notLeader") return notLeader(action, leaderId);
  return conflict(action, MEMBERSHIP[reason]);
}

/** @param to null: nobody in particular was asked for. */
export function describeTransferRefusal(
  action: string,
  reason: TransferRefusal,
  to: string | null,
  leaderId: string | null,
): ClusterduckError {
  if (reason === "notLeader") return notLeader(action, leaderId);
  if (to === null) return conflict(action, ["no other voting member answers", "Start one, or add one first"]);
  return conflict(`${action} to "${to}"`, TRANSFER[reason]);
}

function notLeader(action: string, leaderId: string | null): ClusterduckError {
  const leader = leaderId === null ? "nobody leads at the moment" : `"${leaderId}" leads`;
  return new ClusterduckError("NOT_LEADER", `${action} here: ${leader}`, {
    hint: leaderId === null ? "Ask again in a moment" : `Ask "${leaderId}"`,
  });
}

function conflict(action: string, [problem, hint]: Words): ClusterduckError {
  return new ClusterduckError("CONFLICT", `${action}: ${problem}`, hint === undefined ? {} : { hint });
}
