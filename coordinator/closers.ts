type Closer = () => Promise<void> | void;

/** What was begun and has to end again, newest first: what was begun last may use what was there before it. */
export class Closers {
  readonly #closers: Closer[] = [];

  add(closer: Closer): void {
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    for (const closer of this.#closers.splice(0).reverse()) await closer();
  }
}
