import { setTimeout as delay } from "node:timers/promises";

/** Time as an argument, so that a test chooses it. */
export interface Clock {
  /** Milliseconds of a clock that only grows and knows no wall time; fractions allowed. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch; for stamps that people read, never for deciding. */
  wallMs(): number;
  /** Resolves after `durationMs`, or early and without an error when `signal` aborts. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `durationMs`; the returned function cancels. */
  after(durationMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: async (durationMs, signal) => {
    try {
      await delay(durationMs, undefined, signal === undefined ? {} : { signal });
    } catch (thrown) {
      if (signal?.aborted !== true) throw thrown;
    }
  },
  after: (durationMs, callback) => {
    const timer = setTimeout(callback, durationMs);
    return () => clearTimeout(timer);
  },
};
