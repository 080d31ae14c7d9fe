import type { Applier, ApplyOutcome, Bundle, Fencing } from "../appliers/applier.js";
import { messageOf } from "../common/errors.js";
import type { Logger } from "../common/logger.js";

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
  readonly signal: AbortSignal;
};

/**
 * Hands bundles to the proxies: only to declared ones, and never an older order after a newer one. The
 * applier of each proxy joins what comes in quick succession, and remembers the newest order over restarts.
 */
export class Applies {
  readonly #options: AppliesOptions;
  readonly #fencing = new Map<string, Fencing>();
  readonly #states = new Map<string, ProxyState>();

  constructor(options: AppliesOptions) {
    this.#options = options;
  }

  /** Looks at all proxies once; before that the states are empty. */
  async observeAll(): Promise<void> {
    await Promise.all(
      [...this.#options.appliers].map(async ([balancer, applier]) => {
        const seen = await applier.observe();
        this.#states.set(balancer, { balancer, kind: "haproxy", ...seen });
      }),
    );
  }

  states(): readonly ProxyState[] {
    return [...this.#options.appliers.keys()].map(
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
    const applier = this.#options.appliers.get(bundle.balancer);
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
    const { signal, logger } = this.#options;
    try {
      const outcome = await applier.apply(bundle, signal);
      if (outcome.error === "") logger.info("proxy.applied", outcome);
      else logger.error("proxy.apply_failed", outcome);
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
      logger.error("proxy.apply_failed", { balancer: bundle.balancer, error: thrown });
      this.#options.onOutcome({
        ...refusalOf(bundle, messageOf(thrown)),
        ...this.#generations(bundle.balancer),
      });
    }
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
