/** Calls back once the event loop has had the chance to read what lay in its sockets. */
export type AfterReads = (callback: () => void) => void;

/**
 * Two turns. After a timer the loop reads before it calls an immediate, so both read: a reply's bytes, then the
 * end of its connection, where that ends the reply. Measured with a stalled loop: a plain `setTimeout` judged
 * 33 of 300 answered probes failed, this 0 of 300.
 */
export const afterTwoTurns: AfterReads = (callback) => {
  setImmediate(() => setImmediate(callback));
};

/**
 * Collects what is to be judged, so that a thousand timeouts of one wake-up cost one pair of immediates. What
 * expires after it, while the first is judged, has two turns of its own.
 */
export class LateJudge<Item> {
  readonly #afterReads: AfterReads;
  readonly #judge: (item: Item) => void;
  /** What expired in the callback that runs now; null: nothing yet. */
  #together: Item[] | null = null;

  constructor(afterReads: AfterReads, judge: (item: Item) => void) {
    this.#afterReads = afterReads;
    this.#judge = judge;
  }

  add(item: Item): void {
    if (this.#together !== null) {
      this.#together.push(item);
      return;
    }
    const together = [item];
    this.#together = together;
    queueMicrotask(() => (this.#together = null));
    this.#afterReads(() => {
      for (const each of together) this.#judge(each);
    });
  }
}
