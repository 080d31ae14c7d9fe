import { changeMembership, voterIds } from "./membership.js";
import type { ChangedMembership, MembershipChange, MembershipRefusal } from "./membership.js";
import { hasQuorum } from "./quorum.js";
import type { Replication } from "./replication.js";
import type { Self } from "./self.js";

/**
 * Whether the leader may change its members now, and to what. One change at a time, so that quorums of
 * neighbouring memberships overlap; none before the leader has an entry of its own term committed, or two
 * leaders in a row could take changes that do not know of each other. Source: dissertation, section 4.1,
 * and Ongaro's note "bug in single-server membership changes" (2015).
 */
export function judgeChange(
  self: Self,
  replication: Replication,
  change: MembershipChange,
): ChangedMembership {
  const { log, membership } = self;
  if (!self.hasCommittedInTerm) return { isAccepted: false, reason: "termNotCommitted" };
  if (log.history.currentIndex > log.commit) return { isAccepted: false, reason: "changeInProgress" };
  const changed = changeMembership(membership, change);
  if (!changed.isAccepted) return changed;
  const reason =
    (change.kind === "promote" ? lagOf(self, replication, change.id) : null) ??
    absence(self, replication, voterIds(changed.membership));
  return reason === null ? changed : { isAccepted: false, reason };
}

/** A voter without most of the log would hold up what needs its acknowledgement. Dissertation, section 4.2.1. */
function lagOf({ log, config }: Self, replication: Replication, learner: string): MembershipRefusal | null {
  const progress = replication.peers.get(learner);
  if (progress?.state !== "replicate" || progress.hasForgotten) return "learnerLags";
  const isClose = log.last.index - progress.match <= config.maxPromotionLag;
  return isClose && replication.isInContact(learner) ? null : "learnerLags";
}

/** A quorum of the voters to be must be there, or neither this change nor its undoing would ever commit. */
function absence(
  { id }: Self,
  replication: Replication,
  nextVoters: readonly string[],
): MembershipRefusal | null {
  const isThere = (voter: string): boolean =>
    voter === id || (replication.isInContact(voter) && replication.peers.get(voter)?.hasAnswered === true);
  return hasQuorum(nextVoters, isThere) ? null : "quorumAway";
}
