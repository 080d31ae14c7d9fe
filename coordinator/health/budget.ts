/**
 * Bounds what timeouts may remove: a fault of ours (or of the network) looks like many slow nodes at once.
 * Certain deaths are exempt. One per leader; it starts full.
 */

export type ClusterLoad = {
  readonly cluster: string;
  readonly size: number;
  /** Nodes that timeout-based evidence keeps out now. */
  readonly removed: number;
  /** `policy.removalBudget`: share of the cluster, 0 to 1. */
  readonly share: number;
  /** Most of the node's zone is bad: something larger than a node fails, so go slowly. */
  readonly isZoneBad: boolean;
};

export type BudgetAnswer =
  { readonly isGranted: true } | { readonly isGranted: false; readonly words: string };

/** Nodes per second and cluster. */
const RATE_PER_S = 0.5;
/** Share of a cluster that may go at once before the rate applies. */
const BURST_SHARE = 0.1;
/** By how much a bad zone slows removals. */
const BAD_ZONE_SLOWER = 10;

export class RemovalBudget {
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  /** Takes one removal from a cluster's budget, or says why not. */
  take(load: ClusterLoad, nowMs: number): BudgetAnswer {
    const allowed = Math.max(1, Math.floor(load.size * load.share));
    if (load.removed >= allowed) {
      const words = `removal budget of cluster ${load.cluster} is used up: ${load.removed} of at most ${allowed} nodes are out on timeouts`;
      return { isGranted: false, words };
    }
    const tokens = this.#refill(load, nowMs);
    if (tokens < 1) {
      const words = `removal rate of cluster ${load.cluster} is used up: at most ${ratePerS(load)} nodes per second on timeouts`;
      return { isGranted: false, words };
    }
    this.#buckets.set(load.cluster, { tokens: tokens - 1, atMs: nowMs });
    return { isGranted: true };
  }

  /** Time passes at the rate of the moment it is asked: that errs on the slow side when a zone turns bad. */
  #refill(load: ClusterLoad, nowMs: number): number {
    const burst = Math.max(1, Math.floor(load.size * BURST_SHARE));
    const before = this.#buckets.get(load.cluster) ?? { tokens: burst, atMs: nowMs };
    const gained = (Math.max(0, nowMs - before.atMs) / 1_000) * ratePerS(load);
    const tokens = Math.min(burst, before.tokens + gained);
    this.#buckets.set(load.cluster, { tokens, atMs: nowMs });
    return tokens;
  }
}

function ratePerS(load: ClusterLoad): number {
  return load.isZoneBad ? RATE_PER_S / BAD_ZONE_SLOWER : RATE_PER_S;
}

/** Over 55 % and at least three nodes of a zone are bad. */
export function isZoneBad(bad: number, size: number): boolean {
  return bad >= 3 && bad > 0.55 * size;
}
