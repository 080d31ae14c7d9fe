import { uptime } from "node:os";
import type { Clock } from "../common/clock.js";

/** Between two looks at whether the host has slept. Milliseconds of its being awake. */
const LOOK_EVERY_MS = 1_000;
/** Less than this is how the two clocks differ anyway. Milliseconds. */
const SLEEP_MIN_MS = 1_000;

/**
 * A clock whose wall time is read once, at the start, and then goes on by itself: setting the host's clock, by a
 * mistake or to mend one, ends no maintenance early and removes no node. It counts the time that the host slept,
 * which the monotonic clock does not. A clock that was wrong at the start stays wrong until the next one.
 * @param uptimeMs time since the host was switched on, asleep or not.
 */
export function steadyClock(clock: Clock, uptimeMs: () => number = () => uptime() * 1_000): Clock {
  const startMs = clock.wallMs();
  const start = { monotonicMs: clock.monotonicMs(), uptimeMs: uptimeMs() };
  let lookedAtMs = start.monotonicMs;
  let sleptMs = 0;
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => {
      const nowMs = clock.monotonicMs();
      const awakeMs = nowMs - start.monotonicMs;
      if (nowMs - lookedAtMs >= LOOK_EVERY_MS) {
        lookedAtMs = nowMs;
        const differenceMs = uptimeMs() - start.uptimeMs - awakeMs;
        if (differenceMs >= sleptMs + SLEEP_MIN_MS) sleptMs = differenceMs;
      }
      // Whole milliseconds, as those of any wall clock: they become stamps.
      return Math.round(startMs + awakeMs + sleptMs);
    },
    sleep: (durationMs, signal) => clock.sleep(durationMs, signal),
    after: (durationMs, callback) => clock.after(durationMs, callback),
  };
}
