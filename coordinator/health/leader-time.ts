/**
 * The time that the leader's stamps speak of, without trusting a wall clock more than once: it is read at the
 * start, then only monotonic time and committed stamps move it, so setting a host's clock back changes nothing.
 */
export class LeaderTime {
  #anchorMs: number;
  #anchoredAtMs: number;

  constructor(wallMs: number, monotonicMs: number) {
    this.#anchorMs = wallMs;
    this.#anchoredAtMs = monotonicMs;
  }

  /** Unix milliseconds. `stampMs`: the newest committed stamp, which never lies ahead of the result. */
  nowMs(stampMs: number, monotonicMs: number): number {
    const nowMs = this.#anchorMs + (monotonicMs - this.#anchoredAtMs);
    if (stampMs <= nowMs) return nowMs;
    this.#anchorMs = stampMs;
    this.#anchoredAtMs = monotonicMs;
    return stampMs;
  }
}
