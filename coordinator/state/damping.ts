import type { NodeState } from "../../common/model/node.js";
import type { NodeRecord } from "./model.js";

/** What each committed transition for the worse adds to a node's penalty. */
export const DAMPING_PENALTY = { down: 1_000, degraded: 500 } as const;
export const DAMPING_MAX = 12_000;
export const DAMPING_HALF_LIFE_MS = 60_000;
/** 60 s / 2^10: finer steps would change a penalty of 12,000 by less than 10. */
const STEPS = 10;

type Damping = NodeRecord["damping"];

/**
 * The penalty as of `nowMs`. Only multiplications and square roots, which every machine rounds alike;
 * `Math.pow` may differ between versions of Node, and members must agree to the last bit.
 */
export function decayedPenalty(damping: Damping, nowMs: number): number {
  let remainingMs = Math.max(0, nowMs - damping.atMs);
  let penalty = damping.penalty;
  while (remainingMs >= DAMPING_HALF_LIFE_MS && penalty > 0) {
    penalty = penalty < 1 ? 0 : penalty / 2;
    remainingMs -= DAMPING_HALF_LIFE_MS;
  }
  let stepMs = DAMPING_HALF_LIFE_MS;
  let factor = 0.5;
  for (let step = 0; step < STEPS; step++) {
    stepMs /= 2;
    factor = Math.sqrt(factor);
    if (remainingMs >= stepMs) {
      penalty *= factor;
      remainingMs -= stepMs;
    }
  }
  return penalty;
}

const BADNESS: Readonly<Record<NodeState, number>> = { healthy: 0, unknown: 0, degraded: 1, down: 2 };

/**
 * The penalty after a transition from `held` (the last state that was a verdict) to `to`. Only what became
 * worse counts: a dead node that answers again, if not for every use, is on its way back.
 */
export function dampingAfter(damping: Damping, held: NodeState, to: NodeState, atMs: number): Damping {
  if ((to !== "down" && to !== "degraded") || BADNESS[to] <= BADNESS[held]) return damping;
  const penalty = Math.min(DAMPING_MAX, decayedPenalty(damping, atMs) + DAMPING_PENALTY[to]);
  return { penalty, atMs };
}
