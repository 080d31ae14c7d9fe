import type { Clock } from "./clock.js";

type Timer = {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
  isOver: boolean;
};

export type VirtualClockOptions = {
  /** Where monotonic time begins. Not 0, so that a forgotten "unset" value shows. */
  readonly startMs?: number;
  /** What `wallMs` says at the start. */
  readonly wallStartMs?: number;
  /**
   * Turns of the event loop that each timer's consequences get before time goes on. Raise it when the code
   * under test chains more `setImmediate` calls than this.
   */
  readonly turns?: number;
};
export const VIRTUAL_CLOCK_DEFAULTS: Required<VirtualClockOptions> = {
  startMs: 1_000,
  wallStartMs: Date.UTC(2026, 0, 1),
  turns: 4,
};

/**
 * Time that passes only when a test says so. Timers run in the order of their due times (equal ones in the
 * order they were set), and after each one promises and `setImmediate` callbacks settle before the next.
 */
export class VirtualClock implements Clock {
  readonly #turns: number;
  readonly #wallStartMs: number;
  readonly #startMs: number;
  #nowMs: number;
  #wallOffsetMs = 0;
  #order = 0;
  /** A binary heap: the earliest timer first. Cancelled timers stay until they surface. */
  readonly #heap: Timer[] = [];
  #pending = 0;

  constructor(options: VirtualClockOptions = {}) {
    const { startMs, wallStartMs, turns } = { ...VIRTUAL_CLOCK_DEFAULTS, ...options };
    this.#nowMs = startMs;
    this.#startMs = startMs;
    this.#wallStartMs = wallStartMs;
    this.#turns = turns;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallStartMs + this.#wallOffsetMs + (this.#nowMs - this.#startMs);
  }

  after(durationMs: number, callback: () => void): () => void {
    const timer: Timer = {
      dueMs: this.#nowMs + Math.max(0, durationMs),
      order: ++this.#order,
      callback,
      isOver: false,
    };
    pushHeap(this.#heap, timer);
    this.#pending += 1;
    return () => {
      if (timer.isOver) return;
      timer.isOver = true;
      this.#pending -= 1;
    };
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const finish = (): void => {
        cancel();
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const cancel = this.after(durationMs, finish);
      signal?.addEventListener("abort", finish, { once: true });
    });
  }

  /** Timers that are set and neither ran nor were cancelled: a test for leaks. */
  get pendingTimers(): number {
    return this.#pending;
  }

  /** Lets `durationMs` pass. Afterwards everything that was due has run and settled. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    await this.settle();
    while (this.#runNext(untilMs)) await this.settle();
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Advances in steps until `isDone`, at most `limitMs`; throws when it never came true. */
  async advanceUntil(isDone: () => boolean, limitMs: number, stepMs = 1): Promise<void> {
    const untilMs = this.#nowMs + limitMs;
    while (!isDone()) {
      if (this.#nowMs >= untilMs) throw new Error(`Nothing happened within ${limitMs} virtual ms`);
      await this.advance(Math.min(stepMs, untilMs - this.#nowMs));
    }
  }

  /** A stalled process: time passes, yet no timer runs until the next `advance`, which finds them late. */
  stall(durationMs: number): void {
    this.#nowMs += durationMs;
  }

  /** Somebody sets the wall clock. Monotonic time must not notice. */
  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Lets promises and `setImmediate` callbacks run without any time passing. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < this.#turns; turn++)
      await new Promise<void>((resolve) => void setImmediate(resolve));
  }

  #runNext(untilMs: number): boolean {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.dueMs > untilMs) return false;
      popHeap(this.#heap);
      if (first.isOver) continue;
      first.isOver = true;
      this.#pending -= 1;
      this.#nowMs = Math.max(this.#nowMs, first.dueMs);
      first.callback();
      return true;
    }
  }
}

function isEarlier(one: Timer, other: Timer): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order);
}

function pushHeap(heap: Timer[], timer: Timer): void {
  let index = heap.push(timer) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isEarlier(timer, above)) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = timer;
}

function popHeap(heap: Timer[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = index * 2 + 1;
    const left = heap[child];
    if (left === undefined) break;
    const right = heap[child + 1];
    if (right !== undefined && isEarlier(right, left)) child += 1;
    const lesser = heap[child];
    if (lesser === undefined || !isEarlier(lesser, last)) break;
    heap[index] = lesser;
    index = child;
  }
  heap[index] = last;
}
