import type { Observation, Reason } from "../../common/model/observation.js";

/** Failures in a row of new connections before the node counts as degraded: loss hits new connections hardest. */
const FAILURES_TO_DEGRADE = 3;

/**
 * What is known of new connections while an old one still answers. A full backlog, a client limit or a
 * closed listener shows there first.
 */
export type FreshLook = {
  /** Runs since the last look. */
  readonly runs: number;
  readonly isUnderWay: boolean;
  readonly failures: number;
  readonly last: { readonly reason: Reason; readonly detail: string } | null;
};

export type FreshJudgement =
  | { readonly kind: "nothing" }
  | { readonly kind: "warn"; readonly text: string }
  | { readonly kind: "degraded" | "failed"; readonly reason: Reason; readonly detail: string };

/** Looks of many checks made at once are spread over the runs by the key, so that they do not fall together. */
export function initialFreshLook(every: number, key: string): FreshLook {
  let hash = 0;
  for (const character of key) hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  return { runs: every === 0 ? 0 : hash % every, isUnderWay: false, failures: 0, last: null };
}

/** Counts a run and says whether it is time to look. A failing look is repeated in every run until it passes. */
export function countRun(
  look: FreshLook,
  every: number,
): { readonly look: FreshLook; readonly isDue: boolean } {
  if (every === 0) return { look, isDue: false };
  const runs = look.runs + 1;
  const isDue = !look.isUnderWay && (runs >= every || look.failures > 0);
  return isDue ? { look: { ...look, runs: 0, isUnderWay: true }, isDue } : { look: { ...look, runs }, isDue };
}

/** Takes the observation of a look that has ended. */
export function endLook(look: FreshLook, observation: Observation): FreshLook {
  switch (observation.outcome) {
    case "passed":
    case "degraded":
      return { ...look, isUnderWay: false, failures: 0, last: null };
    case "inconclusive":
      return { ...look, isUnderWay: false };
    case "failed": {
      const { reason, detail } = observation;
      return { ...look, isUnderWay: false, failures: look.failures + 1, last: { reason, detail } };
    }
  }
}

/** What the looks say of a node whose old connection answers well. */
export function judgeFreshLook(look: FreshLook): FreshJudgement {
  if (look.last === null) return { kind: "nothing" };
  const { reason } = look.last;
  const detail = `new connections fail while an old one answers: ${look.last.detail}`;
  // Nobody listens any more: whoever comes next is turned away, whatever old connections still do.
  if (reason === "refused") return { kind: "failed", reason, detail };
  if (look.failures >= FAILURES_TO_DEGRADE) return { kind: "degraded", reason, detail };
  return { kind: "warn", text: detail };
}
