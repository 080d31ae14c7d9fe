import type { Clock } from "./clock.js";

/** How long it has lasted, and how many attempts have failed. */
export type TroubleSoFar = { readonly failedForMs: number; readonly attempts: number };

/** A trouble that goes on is told again after this long, so that a log that was rotated still tells of it. */
const REMINDER_MS = 600_000;

/**
 * Decides when something that is tried again and again is worth a log line: when it starts to fail, when the
 * reason changes, rarely while it lasts, and when it is over.
 */
export class Trouble {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #began: { readonly atMs: number; attempts: number; reason: string; toldMs: number } | null = null;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Another attempt has failed; null: that is known already. */
  failed(reason: string): TroubleSoFar | null {
    const nowMs = this.#clock.monotonicMs();
    if (this.#began === null) {
      this.#began = { atMs: nowMs, attempts: 1, reason, toldMs: nowMs };
      return { failedForMs: 0, attempts: 1 };
    }
    this.#began.attempts++;
    if (reason === this.#began.reason && nowMs - this.#began.toldMs < REMINDER_MS) return null;
    this.#began.reason = reason;
    this.#began.toldMs = nowMs;
    return { failedForMs: nowMs - this.#began.atMs, attempts: this.#began.attempts };
  }

  /** It works; what there was to get over, or null. */
  recovered(): TroubleSoFar | null {
    if (this.#began === null) return null;
    const { atMs, attempts } = this.#began;
    this.#began = null;
    return { failedForMs: this.#clock.monotonicMs() - atMs, attempts };
  }
}
