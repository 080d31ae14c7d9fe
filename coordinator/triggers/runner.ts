import type { TriggerConfig } from "../../common/config/model.js";
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { Replica } from "../replica.js";
import type { RunRecord } from "../state/model.js";
import { environmentOf, eventJson } from "./environment.js";
import { RunKeeper } from "./keeper.js";
import { nextRuns } from "./queue.js";
import { NOTHING_DONE } from "./shell.js";
import type { ActionOutcome } from "./shell.js";

/** Runs at the same time, over all triggers. Raise it when slow commands of many clusters wait for each other. */
const RUNS_AT_ONCE = 8;
/** First pause before another attempt; doubles with every attempt. Milliseconds. */
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;

const UNKNOWN_OUTCOME: ActionOutcome = {
  ...NOTHING_DONE,
  isSuccess: false,
  error: "The coordinator that had started it ended before it could record the outcome",
};

export type TriggerRunnerOptions = {
  readonly replica: Replica;
  readonly isLeader: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The coordinator's own environment, for `inherit_env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Another coordinator began this run, and may still be at it. Default: nobody does. */
  readonly isUnderWayElsewhere?: (run: RunRecord) => boolean;
  /** For notes about the runs under way on this host. */
  readonly dir: string;
};

export type TriggerRunner = {
  /** Looks for runs to start: after gaining leadership, and when the configuration's clusters changed. */
  readonly wake: () => void;
  /** Waits for running commands at most `graceMs`, then ends them; their runs are recorded as failed. */
  readonly stop: (graceMs: number) => Promise<void>;
};

/**
 * Executes the runs that the state machine has created. A run is committed as started before its command
 * begins and as finished after it ended, so that no run is lost and none happens twice. The command of a
 * coordinator that died goes on under its keeper: the next coordinator waits for it and records how it
 * ended, or that nobody knows, and only then tries it again if `retries` allow it.
 */
export function startTriggerRunner(options: TriggerRunnerOptions): TriggerRunner {
  const { replica, clock, logger } = options;
  const mine = new Map<string, Promise<void>>();
  const keeper = new RunKeeper({ dir: options.dir, clock, logger });
  /** Ends commands. */
  const abort = new AbortController();
  /** Ends waiting for commands that are not ours. */
  const stopping = new AbortController();
  let isStopping = false;
  let cancelTimer: (() => void) | null = null;

  const wake = (): void => {
    cancelTimer?.();
    cancelTimer = null;
    if (isStopping || !options.isLeader()) return;
    const { ready, interrupted, nextAtMs } = nextRuns(
      replica.state.runs,
      new Set(mine.keys()),
      clock.wallMs(),
      options.isUnderWayElsewhere,
    );
    for (const run of interrupted) own(run.id, () => recordInterrupted(run));
    for (const run of ready.slice(0, Math.max(0, RUNS_AT_ONCE - mine.size))) own(run.id, () => execute(run));
    if (nextAtMs !== null) cancelTimer = clock.after(Math.max(1, nextAtMs - clock.wallMs()), wake);
  };

  const own = (runId: string, work: () => Promise<void>): void => {
    // Begins when the run is in `mine`: else it would look as if its coordinator had died.
    const settled = Promise.resolve()
      .then(work)
      .catch((thrown: unknown) =>
        logger.warn("trigger.run_not_recorded", { run: runId, error: messageOf(thrown) }),
      )
      .finally(() => {
        mine.delete(runId);
        wake();
      });
    mine.set(runId, settled);
  };

  const recordInterrupted = async (run: RunRecord): Promise<void> => {
    const found = await keeper.inherited(run, stopping.signal);
    if (found.kind === "stillRunning") return;
    await finish(run, found.kind === "ended" ? found.outcome : UNKNOWN_OUTCOME);
  };

  const execute = async (run: RunRecord): Promise<void> => {
    const trigger = triggerOf(replica, run);
    const { result } = await replica.propose({ type: "startRun", runId: run.id }, "leader");
    // Somebody else has started it, or its cluster has been removed meanwhile.
    if (!result.isAccepted) return;
    const started = replica.state.runs.get(run.id) ?? run;
    const outcome = await runActions(started, trigger);
    logger.info("trigger.run_finished", {
      run: run.id,
      cluster: run.cluster,
      trigger: run.trigger,
      is_success: outcome.isSuccess,
      exit_code: outcome.exitCode,
      error: outcome.error,
    });
    await finish(started, outcome);
  };

  const runActions = async (run: RunRecord, trigger: TriggerConfig | undefined): Promise<ActionOutcome> => {
    if (trigger === undefined) {
      const error = `Trigger "${run.trigger}" is no longer in the configuration`;
      return { ...NOTHING_DONE, isSuccess: false, error };
    }
    const actions = trigger.actions.map((action) => ({
      action,
      env: environmentOf(run, trigger, action, options.env),
    }));
    return keeper.run(run, { actions, input: eventJson(run), signal: abort.signal });
  };

  const finish = async (run: RunRecord, outcome: ActionOutcome): Promise<void> => {
    const retryAtMs = outcome.isSuccess ? null : retryTime(run, triggerOf(replica, run), clock.wallMs());
    await replica.propose({ type: "finishRun", runId: run.id, ...outcome, retryAtMs }, "leader");
    await keeper.forget(run);
  };

  const unsubscribe = replica.onApplied(({ command }) => {
    if (command !== null) wake();
  });
  keeper.keepOnly([...replica.state.runs.values()].filter((run) => run.outcome === "started"));
  wake();

  return {
    wake,
    stop: async (graceMs) => {
      isStopping = true;
      stopping.abort();
      unsubscribe();
      cancelTimer?.();
      const cancelAbort = clock.after(graceMs, () => abort.abort());
      await Promise.all(mine.values());
      cancelAbort();
      await keeper.close();
    },
  };
}

function triggerOf(replica: Replica, run: RunRecord): TriggerConfig | undefined {
  return replica.state.config.value.clusters[run.cluster]?.triggers.find((each) => each.id === run.trigger);
}

/** When the next attempt may begin; null after the last one. */
function retryTime(run: RunRecord, trigger: TriggerConfig | undefined, nowMs: number): number | null {
  const retries = Math.max(0, ...(trigger?.actions ?? []).map((action) => action.retries));
  if (run.attempts > retries) return null;
  return nowMs + Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (run.attempts - 1));
}
