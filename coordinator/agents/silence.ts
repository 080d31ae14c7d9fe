import type { Clock } from "../../common/clock.js";
import type { FleetAgent } from "./agent.js";
import type { FleetTuning } from "./tuning.js";

export type SilenceHandlers = {
  readonly onSilent: (agent: FleetAgent, cause: string) => void;
  readonly onForgotten: (agent: FleetAgent) => void;
};

/** Finds agents that have not said a word for too long, without blaming them for a stall of our own. */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #tuning: FleetTuning;
  readonly #agents: () => Iterable<FleetAgent>;
  readonly #handlers: SilenceHandlers;
  readonly #everyMs: number;
  #cancel: () => void;
  #lastMs: number;

  constructor(
    clock: Clock,
    tuning: FleetTuning,
    agents: () => Iterable<FleetAgent>,
    handlers: SilenceHandlers,
  ) {
    this.#clock = clock;
    this.#tuning = tuning;
    this.#agents = agents;
    this.#handlers = handlers;
    this.#everyMs = tuning.heartbeatMinMs / 2;
    this.#lastMs = clock.monotonicMs();
    this.#cancel = clock.after(this.#everyMs, () => this.#look());
  }

  close(): void {
    this.#cancel();
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    // While this process stood still, words may have arrived that it has not read yet.
    const stalledMs = Math.max(0, nowMs - this.#lastMs - 2 * this.#everyMs);
    this.#lastMs = nowMs;
    this.#cancel = this.#clock.after(this.#everyMs, () => this.#look());
    for (const agent of [...this.#agents()]) {
      agent.lastHeardMs += stalledMs;
      const silentMs = nowMs - agent.lastHeardMs;
      if (agent.connection === null) {
        if (silentMs > this.#tuning.forgetAfterMs) this.#handlers.onForgotten(agent);
      } else if (silentMs > this.#tuning.heartbeatsMissed * agent.heartbeatIntervalMs) {
        this.#handlers.onSilent(agent, `silent for ${Math.round(silentMs)} ms`);
      }
    }
  }
}
