import { MAX_FINISHED_RUNS_PER_CLUSTER, MAX_OUTPUT_TAIL } from "./bounds.js";
import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, refused } from "./context.js";
import type { Context } from "./context.js";
import type { RunRecord } from "./model.js";
import { clusterConfig } from "./state.js";
import type { State } from "./state.js";

/** The fence of a run: of all who want to start it, one gets "accepted". */
export function startRun(
  context: Context,
  { runId, limitMs }: Extract<Command, { type: "startRun" }>,
): CommandResult {
  const run = context.state.runs.get(runId);
  if (run === undefined) return unknownRun(runId);
  if (run.outcome !== "pending")
    return refused("CONFLICT", `Cannot start run ${runId}: it is ${run.outcome}`);
  context.state.runs.set(runId, {
    ...run,
    outcome: "started",
    startedAtMs: context.atMs,
    attempts: run.attempts + 1,
    startedBy: context.by,
    ...(limitMs === undefined ? {} : { limitMs }),
  });
  return ACCEPTED;
}

export function finishRun(context: Context, command: Extract<Command, { type: "finishRun" }>): CommandResult {
  const run = context.state.runs.get(command.runId);
  if (run === undefined) return unknownRun(command.runId);
  if (run.outcome !== "started") {
    return refused("CONFLICT", `Cannot finish run ${run.id}: it is ${run.outcome}, not started`);
  }
  const { exitCode, signal, error, isSuccess, retryAtMs, attempt } = command;
  if (attempt !== undefined && attempt !== run.attempts) {
    const message = `Cannot finish attempt ${attempt} of run ${run.id}: attempt ${run.attempts} is under way`;
    return refused("CONFLICT", message);
  }
  const finished: RunRecord = {
    ...run,
    outcome: isSuccess ? "succeeded" : retryAtMs === null ? "failed" : "pending",
    notBeforeMs: isSuccess ? run.notBeforeMs : (retryAtMs ?? run.notBeforeMs),
    finishedAtMs: context.atMs,
    exitCode,
    signal,
    outputTail: command.outputTail.slice(-MAX_OUTPUT_TAIL),
    error,
  };
  context.state.runs.set(run.id, finished);
  if (finished.outcome !== "pending") announce(context, finished);
  return ACCEPTED;
}

/** Runs that wait for a trigger which the configuration no longer has would wait for ever. */
export function cancelOrphanedRuns(context: Context): void {
  for (const run of [...context.state.runs.values()]) {
    if (run.outcome !== "pending") continue;
    const cluster = clusterConfig(context.state, run.cluster);
    if (cluster?.triggers.some((trigger) => trigger.id === run.trigger) === true) continue;
    const error = "the configuration no longer has this trigger";
    const failed: RunRecord = { ...run, outcome: "failed", finishedAtMs: context.atMs, error };
    context.state.runs.set(run.id, failed);
    announce(context, failed);
  }
}

function announce(context: Context, run: RunRecord): void {
  const { id, cluster, trigger, outcome, exitCode, signal, attempts, error } = run;
  dropOldest(context.state, cluster);
  context.emit({
    type: "run.finished",
    cluster,
    message: `Trigger "${trigger}" ${outcome}${error === "" ? "" : `: ${error}`}`,
    data: { run: id, trigger, outcome, exitCode, signal, attempts },
  });
}

function dropOldest(state: State, cluster: string): void {
  const finished: string[] = [];
  for (const run of state.runs.values()) {
    if (run.cluster === cluster && (run.outcome === "succeeded" || run.outcome === "failed"))
      finished.push(run.id);
  }
  const excess = Math.max(0, finished.length - MAX_FINISHED_RUNS_PER_CLUSTER);
  for (const id of finished.slice(0, excess)) state.runs.delete(id);
}

function unknownRun(runId: string): CommandResult {
  return refused("NOT_FOUND", `There is no run "${runId}": it was never made, or is too old to be kept`);
}
