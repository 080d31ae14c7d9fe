/** Steps per doubling: a value is known to about 9 %. */
const STEPS = 8;
/** Smallest value told apart, milliseconds. */
const SMALLEST_MS = 0.125;
const BUCKETS = 160;

/**
 * Percentiles over the last ten seconds or so in constant memory: one histogram per second, in a ring.
 * Values are milliseconds; negative ones count as 0.
 */
export class RecentHistogram {
  readonly #seconds: readonly Uint32Array[];
  readonly #stamps: number[];

  constructor(windowSeconds = 10) {
    this.#seconds = Array.from({ length: windowSeconds }, () => new Uint32Array(BUCKETS));
    this.#stamps = Array.from({ length: windowSeconds }, () => -1);
  }

  add(valueMs: number, nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    const place = second % this.#seconds.length;
    const counts = this.#seconds[place] as Uint32Array;
    if (this.#stamps[place] !== second) {
      counts.fill(0);
      this.#stamps[place] = second;
    }
    const bucket = bucketOf(valueMs);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }

  /** The value that `share` (0 to 1) of the values do not exceed; 0 without values. */
  percentile(share: number, nowMs: number): number {
    const oldest = Math.floor(nowMs / 1_000) - this.#seconds.length + 1;
    const fresh = this.#seconds.filter((_, place) => (this.#stamps[place] ?? -1) >= oldest);
    let total = 0;
    for (const counts of fresh) for (const count of counts) total += count;
    if (total === 0) return 0;
    let left = Math.ceil(total * share);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      for (const counts of fresh) left -= counts[bucket] ?? 0;
      if (left <= 0) return upperBoundOf(bucket);
    }
    return upperBoundOf(BUCKETS - 1);
  }
}

function bucketOf(valueMs: number): number {
  if (!(valueMs > SMALLEST_MS)) return 0;
  return Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(valueMs / SMALLEST_MS) * STEPS));
}

function upperBoundOf(bucket: number): number {
  return bucket === 0 ? 0 : SMALLEST_MS * 2 ** (bucket / STEPS);
}
