import type { RunRecord } from "../state/model.js";

export type NextRuns = {
  /** May start now, oldest first, at most one per trigger. */
  readonly ready: readonly RunRecord[];
  /** Recorded as started, but nobody here runs them: their coordinator has died. */
  readonly interrupted: readonly RunRecord[];
  /** When to look again (Unix milliseconds), null when only a change of the state can bring work. */
  readonly nextAtMs: number | null;
};

/** Whether a coordinator that has begun a run still lives is looked at this often. Milliseconds. */
const LOOK_AGAIN_MS = 1_000;

/**
 * Chooses what to run. The runs of one trigger go one after the other in the order of their events, so that
 * the last event's command is also the last one to write its file; different triggers do not wait for each other.
 */
export function nextRuns(
  runs: ReadonlyMap<string, RunRecord>,
  mine: ReadonlySet<string>,
  nowMs: number,
  isUnderWayElsewhere: (run: RunRecord) => boolean = () => false,
): NextRuns {
  const ready: RunRecord[] = [];
  const interrupted: RunRecord[] = [];
  const taken = new Set<string>();
  let nextAtMs: number | null = null;
  for (const run of runs.values()) {
    if (run.outcome !== "pending" && run.outcome !== "started") continue;
    const lane = `${run.cluster}/${run.trigger}`;
    if (taken.has(lane)) continue;
    taken.add(lane);
    if (mine.has(run.id)) continue;
    if (run.outcome === "started") {
      if (isUnderWayElsewhere(run)) nextAtMs = Math.min(nextAtMs ?? Infinity, nowMs + LOOK_AGAIN_MS);
      else interrupted.push(run);
    } else if (run.notBeforeMs <= nowMs) ready.push(run);
    else nextAtMs = Math.min(nextAtMs ?? Infinity, run.notBeforeMs);
  }
  return { ready, interrupted, nextAtMs };
}
