import { isAtLeastAsRecent } from "./entry.js";
import type { Position } from "./entry.js";

export type Voter = {
  readonly term: number;
  readonly vote: string | null;
  /** Whom it knows to lead the term. */
  readonly leaderId: string | null;
  readonly last: Position;
};

/**
 * Whether to vote for a candidate of the own term: one vote per term, again for the same one (the answer
 * may have been lost), never for a shorter log, and none where somebody has won already. Source: Raft
 * paper, sections 5.2 and 5.4.1.
 */
export function grantsVote(
  voter: Voter,
  candidate: { readonly id: string; readonly last: Position },
): boolean {
  const isFree = voter.vote === null ? voter.leaderId === null : voter.vote === candidate.id;
  return isFree && isAtLeastAsRecent(candidate.last, voter.last);
}

/**
 * Whether one would vote in the term after `askedTerm`. Not while a leader is heard: whoever asks has lost
 * it, but the tier has not. Source: dissertation, sections 4.2.3 and 9.6.
 */
export function grantsPreVote(
  voter: Voter,
  candidate: { readonly askedTerm: number; readonly last: Position; readonly isLeaderHeard: boolean },
): boolean {
  const isNewer = candidate.askedTerm >= voter.term;
  return isNewer && !candidate.isLeaderHeard && isAtLeastAsRecent(candidate.last, voter.last);
}
