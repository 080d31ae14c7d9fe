/** Lets one writer sleep until there is something to send, without missing a word said while it was busy. */
export class Wakeup {
  #isSet = false;
  #resolve: (() => void) | null = null;

  wake(): void {
    this.#isSet = true;
    this.#resolve?.();
  }

  /** Resolves at the next `wake` (or at once after one that nobody has waited for) or when `signal` aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    if (!this.#isSet && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        signal.addEventListener("abort", this.#abort, { once: true });
      });
      signal.removeEventListener("abort", this.#abort);
      this.#resolve = null;
    }
    this.#isSet = false;
  }

  readonly #abort = (): void => this.#resolve?.();
}
