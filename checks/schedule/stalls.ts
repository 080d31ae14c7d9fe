/** How often the event loop's pulse is taken while anything is watched. Milliseconds. */
export const PULSE_MS = 25;
/** A stall longer than this makes a miss unbelievable. Milliseconds. */
export const STALL_MS = 100;
const KEPT = 32;

/**
 * Remembers when this process did not run. A stall begins at any moment between two pulses, so a wake-up that
 * is late by STALL_MS less one pulse may already have been a stall of STALL_MS.
 */
export class StallLog {
  readonly #stalls: { fromMs: number; toMs: number }[] = [];

  onWake(lateMs: number, nowMs: number): void {
    if (lateMs <= STALL_MS - PULSE_MS) return;
    if (this.#stalls.push({ fromMs: nowMs - lateMs - PULSE_MS, toMs: nowMs }) > KEPT) this.#stalls.shift();
  }

  /** Whether a stall overlapped the time from `fromMs` until now. */
  overlaps(fromMs: number): boolean {
    const last = this.#stalls.at(-1);
    return last !== undefined && last.toMs > fromMs;
  }

  get count(): number {
    return this.#stalls.length;
  }
}
