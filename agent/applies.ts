import type { Applier, ApplyOutcome, Bundle, Fencing } from "../appliers/applier.js";
import type { Clock } from "../common/clock.js";
import { messageOf } from "../common/errors.js";
import type { LogFields, Logger } from "../common/logger.js";
import { Trouble } from "../common/trouble.js";

/** What a proxy holds, for the Hello. */
export type ProxyState = {
  readonly balancer: string;
  readonly kind: string;
  readonly appliedGeneration: string;
  readonly observedGeneration: string;
  readonly error: string;
};

export type AppliesOptions = {
  /** One per proxy of this agent's own configuration. Key: balancer. */
  readonly appliers: ReadonlyMap<string, Applier>;
  readonly onOutcome: (outcome: ApplyOutcome) => void;
  readonly logger: Logger;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly signal: AbortSignal;
};

/**
 * Hands bundles to the proxies: only to declared ones, and never an older order after a newer one. The
 * applier of each proxy joins what comes in quick succession, and remembers the newest order over restarts.
 */
export class Applies {
  readonly #options: AppliesOptions;
  #appliers: ReadonlyMap<string, Applier>;
  /** Orders under way. Key: balancer. */
  readonly #busy = new Map<string, number>();
  readonly #fencing = new Map<string, Fencing>();
  readonly #states = new Map<string, ProxyState>();
  /** An order that fails is repeated: what is wrong is logged once. Key: balancer. */
  readonly #troubles = new Map<string, Trouble>();

  constructor(options: AppliesOptions) {
    this.#options = options;
    this.#appliers = options.appliers;
  }

  /** Other proxies are declared from now on; those that stay keep what is known of them. */
  async replace(appliers: ReadonlyMap<string, Applier>): Promise<void> {
    const before = this.#appliers;
    this.#appliers = appliers;
    for (const balancer of before.keys()) {
      if (appliers.get(balancer) !== before.get(balancer)) this.#states.delete(balancer);
    }
    await this.observeAll();
  }

  /** Looks once at the proxies that nothing is known of; before that their states are empty. */
  async observeAll(): Promise<void> {
    await Promise.all(
      [...this.#appliers].map(async ([balancer, applier]) => {
        if (this.#states.has(balancer)) return;
        const seen = await applier.observe();
        if (this.#appliers.get(balancer) !== applier || this.#states.has(balancer)) return;
        this.#states.set(balancer, { balancer, kind: "haproxy", ...seen });
      }),
    );
  }

  /**
   * Looks whether the proxies still are what they were when they took their last order, and tells when one is
   * not. Those that failed wait for their next order anyway.
   */
  async lookForDrift(): Promise<void> {
    for (const [balancer, applier] of this.#appliers) {
      const before = this.#states.get(balancer);
      const isSettled = before?.error === "" && before.appliedGeneration !== "" && !this.#busy.has(balancer);
      if (!isSettled) continue;
      const seen = await applier.observe();
      // It may have taken an order, or have left the configuration, while we looked.
      if (this.#states.get(balancer) !== before || this.#busy.has(balancer)) continue;
      const isSame =
        seen.error === "" &&
        seen.appliedGeneration === before.appliedGeneration &&
        (seen.observedGeneration === "" || seen.observedGeneration === before.appliedGeneration);
      const isTold = seen.error === before.error && seen.observedGeneration === before.observedGeneration;
      if (isSame || (isTold && seen.appliedGeneration === before.appliedGeneration)) continue;
      this.#states.set(balancer, { ...before, ...seen });
      this.#options.logger.warn("proxy.drifted", { balancer, expected: before.appliedGeneration, ...seen });
      this.#options.onOutcome({
        balancer,
        wantedGeneration: before.appliedGeneration,
        ...seen,
        warnings: [],
        method: "unchanged",
        durationMs: 0,
        // Answers no order.
        fencing: { term: 0, index: 0 },
      });
    }
  }

  states(): readonly ProxyState[] {
    return [...this.#appliers.keys()].map(
      (balancer) =>
        this.#states.get(balancer) ?? {
          balancer,
          kind: "haproxy",
          appliedGeneration: "",
          observedGeneration: "",
          error: "",
        },
    );
  }

  offer(bundle: Bundle): void {
    const applier = this.#appliers.get(bundle.balancer);
    if (applier === undefined) {
      this.#refuse(bundle, `this agent's configuration declares no proxy for balancer "${bundle.balancer}"`);
      return;
    }
    const newest = this.#fencing.get(bundle.balancer);
    if (newest !== undefined && isOlder(bundle.fencing, newest)) {
      this.#refuse(
        bundle,
        `it was ordered at ${describe(bundle.fencing)}, and a newer one at ${describe(newest)} is known`,
      );
      return;
    }
    this.#fencing.set(bundle.balancer, bundle.fencing);
    // Settled inside: what an applier throws has become an outcome.
    void this.#apply(bundle, applier);
  }

  async #apply(bundle: Bundle, applier: Applier): Promise<void> {
    const { signal } = this.#options;
    const { balancer } = bundle;
    this.#busy.set(balancer, (this.#busy.get(balancer) ?? 0) + 1);
    try {
      const outcome = await applier.apply(bundle, signal);
      this.#log(balancer, outcome.error, outcome);
      this.#states.set(bundle.balancer, {
        balancer: bundle.balancer,
        kind: bundle.kind,
        appliedGeneration: outcome.appliedGeneration,
        observedGeneration: outcome.observedGeneration,
        error: outcome.error,
      });
      this.#options.onOutcome(outcome);
    } catch (thrown) {
      // A stopping applier may end its waiting with an error.
      if (signal.aborted) return;
      this.#log(balancer, messageOf(thrown), { balancer, error: thrown });
      this.#options.onOutcome({
        ...refusalOf(bundle, messageOf(thrown)),
        ...this.#generations(bundle.balancer),
      });
    } finally {
      const left = (this.#busy.get(balancer) ?? 1) - 1;
      if (left > 0) this.#busy.set(balancer, left);
      else this.#busy.delete(balancer);
    }
  }

  /** `problem`: empty when all went well. */
  #log(balancer: string, problem: string, fields: LogFields): void {
    const { logger, clock } = this.#options;
    const trouble = this.#troubles.get(balancer) ?? new Trouble(clock);
    this.#troubles.set(balancer, trouble);
    if (problem === "") {
      logger.info("proxy.applied", { ...fields, ...trouble.recovered() });
      return;
    }
    const told = trouble.failed(problem);
    if (told !== null) logger.error("proxy.apply_failed", { ...fields, ...told });
  }

  #refuse(bundle: Bundle, why: string): void {
    const error = `Cannot apply generation ${bundle.generation} to balancer "${bundle.balancer}": ${why}`;
    this.#options.logger.warn("proxy.apply_refused", { balancer: bundle.balancer, why });
    this.#options.onOutcome({ ...refusalOf(bundle, error), ...this.#generations(bundle.balancer) });
  }

  #generations(balancer: string): Pick<ApplyOutcome, "appliedGeneration" | "observedGeneration"> {
    const state = this.#states.get(balancer);
    return {
      appliedGeneration: state?.appliedGeneration ?? "",
      observedGeneration: state?.observedGeneration ?? "",
    };
  }
}

function refusalOf(bundle: Bundle, error: string): ApplyOutcome {
  return {
    balancer: bundle.balancer,
    wantedGeneration: bundle.generation,
    appliedGeneration: "",
    observedGeneration: "",
    error,
    warnings: [],
    method: "refused",
    durationMs: 0,
    fencing: bundle.fencing,
  };
}

function isOlder(one: Fencing, other: Fencing): boolean {
  return one.term < other.term || (one.term === other.term && one.index < other.index);
}

function describe(fencing: Fencing): string {
  return `term ${fencing.term}, index ${fencing.index}`;
}
