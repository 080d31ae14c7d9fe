import type { Clock } from "../common/clock.js";
import { LeaderTime } from "./health/leader-time.js";

/**
 * A clock whose wall time fits the stamps in the log. Should they be ahead of the host's clock, as another leader's
 * clock was, stamps stand still until it has caught up (they never run backwards), while this time goes on: what was
 * promised for "in ten minutes" neither waits an hour nor lies in the past at once.
 * @param stampMs the newest committed stamp, Unix milliseconds.
 */
export function leaderClock(clock: Clock, stampMs: () => number): Clock {
  const time = new LeaderTime(clock.wallMs(), clock.monotonicMs());
  return {
    monotonicMs: () => clock.monotonicMs(),
    // Where the host's clock is ahead, it is what the next stamp will say.
    wallMs: () => Math.max(clock.wallMs(), time.nowMs(stampMs(), clock.monotonicMs())),
    sleep: (durationMs, signal) => clock.sleep(durationMs, signal),
    after: (durationMs, callback) => clock.after(durationMs, callback),
  };
}
