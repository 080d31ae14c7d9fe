import type { RunRecord } from "../state/model.js";

/** Who settles a run that is recorded as started and that nobody here executes. */
export type RunPlace =
  /** This coordinator: it began it, in this life or an earlier one. */
  | "here"
  /** Another coordinator, which tells how it ends. */
  | "elsewhere"
  /** Whoever leads: its coordinator is gone, and so is its command by now. */
  | "lost";

export type RunsView = {
  readonly runs: ReadonlyMap<string, RunRecord>;
  /** Executed here at the moment. */
  readonly mine: { readonly has: (runId: string) => boolean };
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Only the leader starts runs; what it began before it is to be settled all the same. */
  readonly isLeader: boolean;
  readonly placeOf: (run: RunRecord) => RunPlace;
};

export type NextRuns = {
  /** May start now, oldest first, at most one per trigger. */
  readonly ready: readonly RunRecord[];
  /** Begun here before: to be settled by what this host knows of them. */
  readonly inherited: readonly RunRecord[];
  /** To be recorded as failed. */
  readonly lost: readonly RunRecord[];
  /** When to look again (Unix milliseconds), null when only a change of the state can bring work. */
  readonly nextAtMs: number | null;
};

/** Whether a coordinator that has begun a run still lives is looked at this often. Milliseconds. */
const LOOK_AGAIN_MS = 1_000;

/**
 * Chooses what to run. The runs of one trigger go one after the other in the order of their events, so that
 * the last event's command is also the last one to write its file; different triggers do not wait for each other.
 */
export function nextRuns({ runs, mine, nowMs, isLeader, placeOf }: RunsView): NextRuns {
  const ready: RunRecord[] = [];
  const inherited: RunRecord[] = [];
  const lost: RunRecord[] = [];
  const taken = new Set<string>();
  let nextAtMs: number | null = null;
  const lookAt = (atMs: number): void => {
    nextAtMs = Math.min(nextAtMs ?? Infinity, atMs);
  };
  for (const run of runs.values()) {
    if (run.outcome !== "pending" && run.outcome !== "started") continue;
    const lane = `${run.cluster}/${run.trigger}`;
    if (taken.has(lane)) continue;
    taken.add(lane);
    if (mine.has(run.id)) continue;
    if (run.outcome === "started") {
      const place = placeOf(run);
      if (place === "here") inherited.push(run);
      else if (!isLeader) continue;
      else if (place === "lost") lost.push(run);
      else lookAt(nowMs + LOOK_AGAIN_MS);
    } else if (!isLeader) continue;
    else if (run.notBeforeMs <= nowMs) ready.push(run);
    else lookAt(run.notBeforeMs);
  }
  return { ready, inherited, lost, nextAtMs };
}
