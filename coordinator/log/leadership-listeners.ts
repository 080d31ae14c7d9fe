import type { Logger } from "../../common/logger.js";
import type { Leadership } from "./replicated-log.js";

type Listener = (leadership: Leadership) => void;

/** Those who want to know who leads. What they do, and whether they fail, is none of the log's affairs. */
export class LeadershipListeners {
  readonly #logger: Logger;
  readonly #listeners = new Set<Listener>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The returned function unsubscribes. */
  add(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Outside of the turn in which leadership changed, so that listeners may use the log. */
  announce(leadership: Leadership): void {
    for (const listener of this.#listeners) queueMicrotask(() => this.#tell(listener, leadership));
  }

  #tell(listener: Listener, leadership: Leadership): void {
    if (!this.#listeners.has(listener)) return;
    try {
      listener(leadership);
    } catch (error) {
      this.#logger.error("raft.listener_failed", { error });
    }
  }
}
