/** How one proxy stands to what it should run. */
export type DeliveryState =
  | "converged"
  /** Ordered, not answered; or nothing may be ordered yet. */
  | "pending"
  | "failed"
  /** It had converged and was then seen to differ. */
  | "drifted"
  | "unreachable";

/** The convergence ledger's line for one proxy. */
export type LedgerLine = {
  /** Agent id, or `local`. */
  readonly target: string;
  readonly wantedGeneration: string;
  readonly appliedGeneration: string;
  readonly observedGeneration: string;
  readonly state: DeliveryState;
  readonly error: string;
  readonly warnings: readonly string[];
  /** Milliseconds since the last answer; since the first order when there was none. */
  readonly ageMs: number;
  readonly method: string;
  readonly durationMs: number;
};

/** One balancer: what is rendered, and what became of it. */
export type BalancerLine = {
  readonly name: string;
  readonly wantedGeneration: string;
  /** The rendered text. */
  readonly config: string;
  /** From rendering, also why there is none; and from the proxies. */
  readonly warnings: readonly string[];
  readonly proxies: readonly LedgerLine[];
};
