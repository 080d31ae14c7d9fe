import type { Observation, Outcome } from "../../common/model/observation.js";

/** Two refusals closer together than this are one moment: a full backlog, a restart. Milliseconds. */
export const REFUSAL_GAP_MS = 100;

/** What one check saw in a row. `fall` and `rise` are not applied here: whoever gives the verdict does that. */
export type Streak = {
  readonly outcome: "passing" | "failing" | "none";
  readonly count: number;
  readonly refusals: number;
  /** When the last refusal that counted was seen; -Infinity: none. */
  readonly refusedAtMs: number;
};
export const NO_STREAK: Streak = { outcome: "none", count: 0, refusals: 0, refusedAtMs: -Infinity };

/** Degraded is alive; inconclusive says nothing of the service. */
export function outcomeClass(outcome: Outcome): "passing" | "failing" | null {
  if (outcome === "inconclusive") return null;
  return outcome === "failed" ? "failing" : "passing";
}

/** Counts one more observation. An inconclusive one changes nothing. */
export function count(streak: Streak, observation: Observation, nowMs: number): Streak {
  const outcome = outcomeClass(observation.outcome);
  if (outcome === null) return streak;
  const inARow = streak.outcome === outcome ? streak.count + 1 : 1;
  if (observation.outcome !== "failed" || observation.reason !== "refused") {
    return { outcome, count: inARow, refusals: 0, refusedAtMs: -Infinity };
  }
  if (nowMs - streak.refusedAtMs < REFUSAL_GAP_MS) {
    return { outcome, count: inARow, refusals: streak.refusals, refusedAtMs: streak.refusedAtMs };
  }
  return { outcome, count: inARow, refusals: streak.refusals + 1, refusedAtMs: nowMs };
}
