/** How many of the last round trips count. */
const KEPT = 100;

/** The last round trips of one check. */
export class RoundTrips {
  readonly #durationsMs: number[] = [];
  #next = 0;

  add(durationMs: number): void {
    this.#durationsMs[this.#next] = durationMs;
    this.#next = (this.#next + 1) % KEPT;
  }

  /** The 99th percentile in milliseconds, to two digits: finer ones would change in every report. */
  p99Text(): string {
    const sorted = [...this.#durationsMs].sort((a, b) => a - b);
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0;
    return String(Number(value.toPrecision(2)));
  }
}
