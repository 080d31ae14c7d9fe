import { ClusterduckError } from "../common/errors.js";

/** Between two attempts to reach a coordinator that went away. Milliseconds. */
const RECONNECT_MS = 500;

/** Whether waiting may help: the coordinator is away, or is going. */
export function isPassing(thrown: unknown): boolean {
  return (
    thrown instanceof ClusterduckError &&
    ["UNREACHABLE", "NOT_LEADER", "STOPPING", "TIMED_OUT"].includes(thrown.code)
  );
}

/** Resolves when it is time to try again, or at once when `signal` aborts. */
export function untilReconnect(signal: AbortSignal): Promise<void> {
  return pause(RECONNECT_MS, signal);
}

/** As `untilReconnect`, after this long. */
export function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, durationMs);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
