import { majorityOf } from "../../common/majority.js";

/** How many voters must agree: any two quorums of one membership have a voter in common. */
export const quorumOf = majorityOf;

/** The highest index that a quorum has, given what each voter has. 0 without voters: they cannot agree. */
export function quorumIndex(matches: readonly number[]): number {
  const descending = [...matches].sort((left, right) => right - left);
  return descending[quorumOf(matches.length) - 1] ?? 0;
}

export function hasQuorum(voters: readonly string[], counts: (voter: string) => boolean): boolean {
  return voters.filter(counts).length >= quorumOf(voters.length);
}

export type Tally = "pending" | "won" | "lost";

/** Counts votes by voter, so that neither an answer that came twice nor a stranger's has weight. */
export function tally(voters: readonly string[], votes: ReadonlyMap<string, boolean>): Tally {
  if (hasQuorum(voters, (voter) => votes.get(voter) === true)) return "won";
  // What is still possible when everyone who is silent says yes.
  return hasQuorum(voters, (voter) => votes.get(voter) !== false) ? "pending" : "lost";
}
