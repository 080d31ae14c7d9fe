import type { MemberHealth } from "./tier-health.js";

/**
 * The dead voter that may go because another has taken its place; null: none.
 * With an even number of voters the last one adds nothing: four bear one failure, as three do. So a dead one among
 * an even number has been replaced, and leaving it there makes the next failure the one too many; a dead one among
 * an odd number stays, for it may come back.
 * Source for what an even number is worth: Ongaro, "Consensus: Bridging Theory and Practice" (2014), section 4.1.
 * @param members as the leader sees them.
 * @param deadAfterMs silence after which one counts as dead.
 */
export function replacedMember(members: readonly MemberHealth[], deadAfterMs: number): string | null {
  const voters = members.filter(({ role }) => role === "voter");
  if (voters.length % 2 === 1) return null;
  const silence = ({ silentMs }: MemberHealth): number => silentMs ?? 0;
  const dead = voters.filter((voter) => silence(voter) >= deadAfterMs);
  const [longest] = dead.sort((left, right) => silence(right) - silence(left));
  return longest?.id ?? null;
}
