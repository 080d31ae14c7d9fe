import type { ObservationReport } from "../../common/model/observation.js";

/** Losses that far apart no longer are one event. Milliseconds. */
const AT_ONCE_MS = 10_000;
/** Fewer hosts than this say nothing about us. */
const HOSTS_MIN = 4;
const SHARE = 1 / 2;

/** A target on another host: what we can lose by a fault of our own. */
export type RemoteTarget = { readonly host: string; readonly zone: string | null };

type Target = RemoteTarget & { isSilent: boolean; sinceMs: number };

/**
 * Notices when more than half of all other hosts fall silent at once: then it is rather us. Counted by host,
 * because one dead host with many services is an ordinary failure; refusals do not count, because somebody
 * sent them. Where the zones are known, a loss within one zone of several is the zone's.
 */
export class LossWatch {
  readonly #targets = new Map<string, Target>();

  /** The targets from now on, by node key. What was known of those that stay is kept. */
  setTargets(targets: ReadonlyMap<string, RemoteTarget>): void {
    for (const key of this.#targets.keys()) if (!targets.has(key)) this.#targets.delete(key);
    for (const [key, target] of targets) {
      const before = this.#targets.get(key) ?? { isSilent: false, sinceMs: -Infinity };
      this.#targets.set(key, { isSilent: before.isSilent, sinceMs: before.sinceMs, ...target });
    }
  }

  /** Takes in one report of the node with this key; nodes of this host are no targets. */
  onReport(key: string, { observation, takenAtMs }: ObservationReport): void {
    const target = this.#targets.get(key);
    if (target === undefined || observation.outcome === "inconclusive") return;
    const isSilent =
      observation.outcome === "failed" &&
      (observation.reason === "timedOut" || observation.reason === "unreachable");
    if (isSilent && !target.isSilent) target.sinceMs = takenAtMs;
    target.isSilent = isSilent;
  }

  /** Words for a loss that is rather ours; null: there is none. */
  massLoss(nowMs: number): string | null {
    const hosts = new Map<string, { readonly zone: string | null; readonly isLost: boolean }>();
    for (const { host, zone, isSilent, sinceMs } of this.#targets.values()) {
      const isLost = isSilent && nowMs - sinceMs < AT_ONCE_MS && hosts.get(host)?.isLost !== false;
      hosts.set(host, { zone, isLost });
    }
    const lost = [...hosts.values()].filter(({ isLost }) => isLost);
    if (hosts.size < HOSTS_MIN || lost.length <= hosts.size * SHARE) return null;
    if (zonesOf([...hosts.values()]) > 1 && zonesOf(lost) < 2) return null;
    return `lost ${lost.length} of ${hosts.size} hosts at once`;
  }
}

function zonesOf(hosts: readonly { readonly zone: string | null }[]): number {
  return new Set(hosts.flatMap(({ zone }) => (zone === null ? [] : [zone]))).size;
}
