/**
 * Spreads a storm of reconnecting agents: a burst at once, then one every so often, in order of arrival.
 * Pure: time is an argument. Source: the generic cell rate algorithm (ITU-T I.371).
 */
export class Admission {
  readonly #everyMs: number;
  readonly #burst: number;
  /** When the next arrival would be exactly on schedule. */
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly perSecond: number; readonly burst: number }) {
    this.#everyMs = 1_000 / options.perSecond;
    this.#burst = options.burst;
  }

  /** Books a place and says how long to wait for it, milliseconds. Null, and no place, when that is over `waitMaxMs`. */
  book(nowMs: number, waitMaxMs: number): number | null {
    const dueMs = Math.max(this.#dueMs, nowMs);
    const waitMs = Math.max(0, dueMs - nowMs - (this.#burst - 1) * this.#everyMs);
    if (waitMs > waitMaxMs) return null;
    this.#dueMs = dueMs + this.#everyMs;
    return waitMs;
  }
}
