/**
 * How long a node that keeps failing stays away. The penalty itself is part of the replicated state and grows
 * there with every committed failure; here is only what follows from it. Source: route flap damping, RFC 2439.
 */
import { DAMPING_HALF_LIFE_MS } from "../state/damping.js";

export const DAMPING = {
  /** From this penalty on a node may not return at once. */
  suppressAt: 2_500,
  /** Below this one it may. */
  reuseAt: 750,
  /** Nobody waits longer than this many half-lives. */
  halfLivesMax: 4,
} as const;

/** Milliseconds until the node may return; 0: now. `nowMs` is the leader's time, as `damping.atMs` is. */
export function returnDelayMs(
  damping: { readonly penalty: number; readonly atMs: number },
  nowMs: number,
): number {
  if (damping.penalty < DAMPING.suppressAt) return 0;
  const halfLives = Math.min(Math.log2(damping.penalty / DAMPING.reuseAt), DAMPING.halfLivesMax);
  const elapsedMs = Math.max(0, nowMs - damping.atMs);
  return Math.max(0, Math.ceil(halfLives * DAMPING_HALF_LIFE_MS - elapsedMs));
}
