import type { PeerStatus } from "../log/replicated-log.js";

export type ReplacementRule = {
  /** Silence after which a member counts as dead, milliseconds. */
  readonly deadAfterMs: number;
  /** How long whoever asks has led: before that it did not hear from everybody. Milliseconds. */
  readonly leadingMs: number;
};

/**
 * The dead voter that may go because another has taken its place; null: none.
 * With an even number of voters the last one adds nothing: four bear one failure, as three do. So a dead one among
 * an even number has been replaced, and leaving it there makes the next failure the one too many; a dead one among
 * an odd number stays, for it may come back.
 * Source for what an even number is worth: Ongaro, "Consensus: Bridging Theory and Practice" (2014), section 4.1.
 */
export function replacedMember(peers: readonly PeerStatus[], rule: ReplacementRule): string | null {
  const voters = peers.filter(({ role }) => role === "voter");
  if (voters.length % 2 === 1) return null;
  const dead = voters
    .map(({ id, silentMs }) => ({ id, silentMs: Math.min(silentMs ?? Infinity, rule.leadingMs) }))
    .filter(({ silentMs }) => silentMs >= rule.deadAfterMs);
  const [longest] = dead.sort((left, right) => right.silentMs - left.silentMs);
  return longest?.id ?? null;
}
