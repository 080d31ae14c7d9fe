import type { Clock } from "../../common/clock.js";

export type TickerOptions = {
  readonly clock: Clock;
  readonly tickMs: number;
  /** Called with how many ticks have gone by. */
  readonly onTicks: (count: number) => void;
};

/**
 * After a stall (a busy host, a stopped process) at most so many ticks are made up for: what others said
 * meanwhile is still to be read, and whoever counts all of the lost time takes them for dead.
 */
const MAX_CATCH_UP_TICKS = 3;

/** Counts time in ticks, by a clock that only grows, so that a late timer delays no later tick. */
export class Ticker {
  readonly #options: TickerOptions;
  #dueMs: number;
  #cancel: () => void = () => undefined;
  #isStopped = false;

  constructor(options: TickerOptions) {
    this.#options = options;
    this.#dueMs = options.clock.monotonicMs() + options.tickMs;
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  #schedule(): void {
    const waitMs = Math.max(0, this.#dueMs - this.#options.clock.monotonicMs());
    this.#cancel = this.#options.clock.after(waitMs, () => this.#onTimer());
  }

  #onTimer(): void {
    const { clock, tickMs, onTicks } = this.#options;
    const lateMs = clock.monotonicMs() - this.#dueMs;
    // Timers may fire a fraction of a millisecond early.
    const count = Math.max(1, Math.floor(lateMs / tickMs) + 1);
    const isStall = count > MAX_CATCH_UP_TICKS;
    this.#dueMs = isStall ? clock.monotonicMs() + tickMs : this.#dueMs + count * tickMs;
    onTicks(Math.min(count, MAX_CATCH_UP_TICKS));
    if (!this.#isStopped) this.#schedule();
  }
}
