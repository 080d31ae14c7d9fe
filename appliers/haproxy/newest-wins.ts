import type { Clock } from "../../common/clock.js";
import type { ApplyOutcome, Bundle, Fencing } from "../applier.js";

export type NewestWinsOptions = {
  readonly clock: Clock;
  /** Milliseconds without a further bundle before a change that can wait is made. */
  readonly quietMs: number;
  /** But no longer than this since the first one. */
  readonly quietMaxMs: number;
  readonly execute: (bundle: Bundle, signal: AbortSignal) => Promise<ApplyOutcome>;
};

/** One change at a time; what arrives meanwhile is joined into the next, and only the newest is made. */
export interface NewestWins {
  /** Resolves with the outcome of this bundle, or of the newer one that replaced it. */
  submit(bundle: Bundle, signal: AbortSignal): Promise<ApplyOutcome>;
  /** Runs when no change is being made. */
  whenIdle<Result>(read: () => Promise<Result>): Promise<Result>;
  /** Whether a bundle waits that is newer than the one being made. */
  hasNewer(): boolean;
}

type Waiting = {
  bundle: Bundle;
  isUrgent: boolean;
  readonly firstMs: number;
  lastMs: number;
  signal: AbortSignal;
  readonly resolvers: ((outcome: ApplyOutcome) => void)[];
};

export function newestWins({ clock, quietMs, quietMaxMs, execute }: NewestWinsOptions): NewestWins {
  let waiting: Waiting | null = null;
  let isRunning = false;
  let chain: Promise<unknown> = Promise.resolve();
  let wake: AbortController | null = null;

  function exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = chain.then(work);
    chain = result.catch(() => undefined);
    return result;
  }

  async function drain(): Promise<void> {
    for (;;) {
      await untilQuiet();
      const taken = await exclusively(async () => {
        const now = waiting;
        waiting = null;
        if (now === null) return false;
        const outcome = await execute(now.bundle, now.signal);
        for (const resolve of now.resolvers) resolve(outcome);
        return true;
      });
      if (!taken || waiting === null) break;
    }
    isRunning = false;
  }

  async function untilQuiet(): Promise<void> {
    while (waiting !== null && !waiting.isUrgent && !waiting.signal.aborted) {
      const dueMs = Math.min(waiting.lastMs + quietMs, waiting.firstMs + quietMaxMs);
      const restMs = dueMs - clock.monotonicMs();
      if (restMs <= 0) return;
      wake = new AbortController();
      await clock.sleep(restMs, AbortSignal.any([wake.signal, waiting.signal]));
    }
  }

  return {
    submit: (bundle, signal) =>
      new Promise((resolve) => {
        const nowMs = clock.monotonicMs();
        if (waiting === null) {
          waiting = {
            bundle,
            isUrgent: bundle.isUrgent,
            firstMs: nowMs,
            lastMs: nowMs,
            signal,
            resolvers: [resolve],
          };
        } else {
          if (!isOlder(bundle.fencing, waiting.bundle.fencing)) {
            waiting.bundle = bundle;
            waiting.signal = signal;
          }
          waiting.isUrgent ||= bundle.isUrgent;
          waiting.lastMs = nowMs;
          waiting.resolvers.push(resolve);
        }
        if (waiting.isUrgent) wake?.abort();
        if (isRunning) return;
        isRunning = true;
        void drain();
      }),
    whenIdle: exclusively,
    hasNewer: () => waiting !== null,
  };
}

export function isOlder(fencing: Fencing, than: Fencing): boolean {
  return fencing.term < than.term || (fencing.term === than.term && fencing.index < than.index);
}
