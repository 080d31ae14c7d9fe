/** Calls back once the event loop has had the chance to read what lay in its sockets. */
export type AfterReads = (callback: () => void) => void;

/**
 * Two turns: the first may already be past its poll phase, the second reads for certain. Measured with a
 * stalled loop: a plain `setTimeout` judged 33 of 300 answered probes failed, this 0 of 300.
 */
export const afterTwoTurns: AfterReads = (callback) => {
  setImmediate(() => setImmediate(callback));
};

/** Collects what is to be judged in this turn, so that a thousand timeouts cost one pair of immediates. */
export class LateJudge<Item> {
  readonly #afterReads: AfterReads;
  readonly #judge: (item: Item) => void;
  #waiting: Item[] = [];

  constructor(afterReads: AfterReads, judge: (item: Item) => void) {
    this.#afterReads = afterReads;
    this.#judge = judge;
  }

  add(item: Item): void {
    if (this.#waiting.push(item) > 1) return;
    this.#afterReads(() => {
      const judged = this.#waiting;
      this.#waiting = [];
      for (const each of judged) this.#judge(each);
    });
  }
}
