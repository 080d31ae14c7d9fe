import type { Clock } from "../../common/clock.js";

type Waiter = { readonly isTrue: () => boolean; readonly resolve: (isTrue: boolean) => void };

/**
 * What callers wait for of a state that changes turn by turn, like a condition variable: whoever changes the
 * state has the conditions looked at, so that nobody asks in a loop.
 */
export class Conditions {
  readonly #clock: Clock;
  #waiters: Waiter[] = [];
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with true once `isTrue`, and with false after `timeoutMs` or when nothing changes any more. */
  async until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
    if (isTrue()) return true;
    if (this.#isClosed) return false;
    return new Promise((settle) => {
      const cancel = this.#clock.after(timeoutMs, () => waiter.resolve(isTrue()));
      const waiter: Waiter = {
        isTrue,
        resolve: (value) => {
          cancel();
          this.#waiters = this.#waiters.filter((each) => each !== waiter);
          settle(value);
        },
      };
      this.#waiters.push(waiter);
    });
  }

  /** Call it when the state may have changed. */
  check(): void {
    for (const waiter of [...this.#waiters]) if (waiter.isTrue()) waiter.resolve(true);
  }

  /** The state does not change any more. */
  close(): void {
    this.#isClosed = true;
    for (const waiter of [...this.#waiters]) waiter.resolve(waiter.isTrue());
  }
}
