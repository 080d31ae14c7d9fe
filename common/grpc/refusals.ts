import type { Logger } from "../logger.js";

/** Whoever is refused comes back for ever: the same refusal is told once in this time, milliseconds. */
const TOLD_EVERY_MS = 60_000;
const TOLD_MAX = 1_000;

/** Logs what was refused, each only now and then. */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #told = new Map<string, number>();

  constructor(logger: Logger, nowMs: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  /** @param key What makes it the same again. */
  tell(key: string, event: string, fields: Readonly<Record<string, unknown>>): void {
    const nowMs = this.#nowMs();
    if (nowMs - (this.#told.get(key) ?? Number.NEGATIVE_INFINITY) < TOLD_EVERY_MS) return;
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.set(key, nowMs);
    this.#logger.warn(event, fields);
  }
}
