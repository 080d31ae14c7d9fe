import type { TriggerConfig } from "../../common/config/model.js";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { ErrorCode } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { Replica } from "../replica.js";
import type { RunRecord } from "../state/model.js";
import { environmentOf, eventJson } from "./environment.js";
import { limitOf, RunKeeper, SLACK_MS } from "./keeper.js";
import { nextRuns } from "./queue.js";
import type { RunPlace } from "./queue.js";
import { NOTHING_DONE } from "./shell.js";
import type { ActionOutcome } from "./shell.js";

/** Runs at the same time, over all triggers. Raise it when slow commands of many clusters wait for each other. */
const RUNS_AT_ONCE = 8;
/** First pause before another attempt; doubles with every attempt. Milliseconds. */
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;

/** Between two attempts to record that a run begins, or how it ended. Milliseconds. */
const RECORD_AGAIN_MS = 500;
/** How long a coordinator that stops tries to record how its runs ended, milliseconds; its next life goes on with it. */
const RECORD_MAX_MS = 3_000;
/** Recording failed, and may work in a moment. */
const PASSING: readonly ErrorCode[] = ["NOT_LEADER", "UNREACHABLE", "OVERLOADED", "DISK_FULL"];

const UNKNOWN_OUTCOME: ActionOutcome = {
  ...NOTHING_DONE,
  isSuccess: false,
  error: "The coordinator that had started it ended before it could record the outcome",
};
const LOST_OUTCOME: ActionOutcome = {
  ...NOTHING_DONE,
  isSuccess: false,
  error: "The coordinator that had started it has not come back to tell how it ended",
};

export type TriggerRunnerOptions = {
  readonly replica: Replica;
  readonly isLeader: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The coordinator's own environment, for `inherit_env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** This life of this coordinator: runs are started in its name. */
  readonly owner: string;
  /** Who settles a started run that is not executed here. Default: this coordinator, which stands alone. */
  readonly placeOf?: (run: RunRecord) => RunPlace;
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
 * Executes the runs that the state machine has created, while this coordinator leads. A run is committed as started
 * before its command begins and as finished after it ended, so that no run is lost and none happens twice. The command
 * of a coordinator that died goes on under its keeper: the next one on the host waits for it and records how it
 * ended, or that nobody knows, and only then it is tried again if `retries` allow it.
 */
export function startTriggerRunner(options: TriggerRunnerOptions): TriggerRunner {
  const { replica, clock, logger } = options;
  const mine = new Map<string, Promise<void>>();
  const keeper = new RunKeeper({ dir: options.dir, clock, logger });
  /** Ends commands. */
  const abort = new AbortController();
  /** Ends waiting for commands that are not ours. */
  const stopping = new AbortController();
  /** Ends attempts to record what cannot be recorded now. */
  const givingUp = new AbortController();
  let isStopping = false;
  let cancelTimer: (() => void) | null = null;

  const wake = (): void => {
    cancelTimer?.();
    cancelTimer = null;
    if (isStopping) return;
    const { ready, inherited, lost, nextAtMs } = nextRuns({
      runs: replica.state.runs,
      mine,
      nowMs: clock.wallMs(),
      isLeader: options.isLeader(),
      placeOf: options.placeOf ?? (() => "here"),
    });
    for (const run of inherited) own(run.id, () => settle(run));
    for (const run of lost) own(run.id, () => finish(run, LOST_OUTCOME));
    for (const run of ready.slice(0, Math.max(0, RUNS_AT_ONCE - mine.size))) own(run.id, () => execute(run));
    if (nextAtMs !== null) cancelTimer = clock.after(Math.max(1, nextAtMs - clock.wallMs()), wake);
  };

  const own = (runId: string, work: () => Promise<void>): void => {
    // Begins when the run is in `mine`: else it would look as if its coordinator had died.
    const settled = Promise.resolve()
      .then(work)
      .catch(async (thrown: unknown) => {
        logger.warn("trigger.run_not_recorded", { run: runId, error: messageOf(thrown) });
        // A full disk, for example, refuses again at once.
        await clock.sleep(RECORD_AGAIN_MS, stopping.signal);
      })
      .finally(() => {
        mine.delete(runId);
        wake();
      });
    mine.set(runId, settled);
  };

  const settle = async (run: RunRecord): Promise<void> => {
    const found = await keeper.inherited(run, stopping.signal);
    if (found.kind === "stillRunning") return;
    if (found.kind === "ended") await finish(run, found.outcome);
    // The answer to its start came late or got lost: its command has not begun.
    else if (run.startedBy === options.owner) await perform(run, -Infinity);
    else await finish(run, UNKNOWN_OUTCOME);
  };

  const execute = async (run: RunRecord): Promise<void> => {
    const limitMs = limitOf(triggerOf(replica, run)?.actions ?? []);
    const askedAtMs = clock.monotonicMs();
    const { result } = await replica.propose({ type: "startRun", runId: run.id, limitMs }, options.owner);
    // Somebody else has started it, or its cluster has been removed meanwhile.
    if (result.isAccepted) await perform(replica.state.runs.get(run.id) ?? run, askedAtMs);
  };

  /** `knownAtMs`: when it was certain that the run is ours. Monotonic milliseconds. */
  const perform = async (run: RunRecord, knownAtMs: number): Promise<void> => {
    // After a pause others may have given the run up.
    for (let atMs = knownAtMs; clock.monotonicMs() - atMs > SLACK_MS / 2;) {
      atMs = clock.monotonicMs();
      await replica.readBarrier();
      if (!isUnderWay(replica, run)) return;
    }
    const outcome = await runActions(run, triggerOf(replica, run));
    logger.info("trigger.run_finished", {
      run: run.id,
      cluster: run.cluster,
      trigger: run.trigger,
      is_success: outcome.isSuccess,
      exit_code: outcome.exitCode,
      error: outcome.error,
    });
    await finish(run, outcome);
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
    const { id: runId, attempts: attempt } = run;
    while (isUnderWay(replica, run)) {
      try {
        await replica.propose({ type: "finishRun", runId, attempt, ...outcome, retryAtMs }, options.owner);
        break;
      } catch (thrown) {
        const isPassing = thrown instanceof ClusterduckError && PASSING.includes(thrown.code);
        if (!isPassing || givingUp.signal.aborted) throw thrown;
        await clock.sleep(RECORD_AGAIN_MS, givingUp.signal);
      }
    }
    await keeper.forget(run);
  };

  /** Notes of runs whose outcome was committed just before a coordinator died. */
  const tidy = async (): Promise<void> => {
    // Before that the state may be older than the notes.
    await replica.readBarrier();
    keeper.keepOnly([...replica.state.runs.values()].filter((run) => run.outcome === "started"));
  };

  const subscriptions = [
    replica.onApplied(({ command }) => {
      if (command !== null) wake();
    }),
    replica.onReplaced(wake),
  ];
  const tidied = tidy().catch((thrown: unknown) =>
    logger.info("trigger.notes_kept", { error: messageOf(thrown) }),
  );
  wake();

  return {
    wake,
    stop: async (graceMs) => {
      isStopping = true;
      stopping.abort();
      for (const unsubscribe of subscriptions) unsubscribe();
      cancelTimer?.();
      const cancelAbort = clock.after(graceMs, () => abort.abort());
      const cancelGivingUp = clock.after(graceMs + RECORD_MAX_MS, () => givingUp.abort());
      await Promise.all(mine.values());
      cancelAbort();
      cancelGivingUp();
      await tidied;
      await keeper.close();
    },
  };
}

/** This very attempt, as far as this coordinator knows. */
function isUnderWay({ state }: Replica, { id, attempts }: RunRecord): boolean {
  const now = state.runs.get(id);
  return now?.outcome === "started" && now.attempts === attempts;
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
