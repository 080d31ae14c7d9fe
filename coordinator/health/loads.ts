/** How full each cluster's removal budget is, counted once per cut. */
import type { ClusterConfig } from "../../common/config/model.js";
import type { NodeKey, NodeRef } from "../../common/model/node.js";
import type { NodeRecord } from "../state/model.js";
import { heldStateOf } from "../state/state.js";
import { isZoneBad } from "./budget.js";
import type { ClusterLoad } from "./budget.js";

export class Loads {
  readonly #clusters = new Map<string, { size: number; removed: number }>();
  readonly #zones = new Map<string, { size: number; bad: number }>();
  readonly #zoneOf: (node: NodeRef) => string;

  /** `leaving`: removals on timeouts that are proposed and not yet committed. */
  constructor(
    nodes: ReadonlyMap<NodeKey, NodeRecord>,
    leaving: (key: NodeKey) => boolean,
    zoneOf: (node: NodeRef) => string,
  ) {
    this.#zoneOf = zoneOf;
    for (const [key, record] of nodes) {
      const isBad = isOut(record);
      const cluster = entry(this.#clusters, record.cluster, () => ({ size: 0, removed: 0 }));
      cluster.size += 1;
      cluster.removed += (isBad && !record.isConclusive) || (!isBad && leaving(key)) ? 1 : 0;
      const zone = entry(this.#zones, zoneOf(record), () => ({ size: 0, bad: 0 }));
      zone.size += 1;
      zone.bad += isBad ? 1 : 0;
    }
  }

  of(node: NodeRef, cluster: ClusterConfig): ClusterLoad {
    const { size, removed } = this.#clusters.get(cluster.name) ?? { size: 0, removed: 0 };
    const zone = this.#zones.get(this.#zoneOf(node));
    const isBad = this.#zoneOf(node) !== "" && zone !== undefined && isZoneBad(zone.bad, zone.size);
    return { cluster: cluster.name, size, removed, share: cluster.policy.removalBudget, isZoneBad: isBad };
  }

  /** One more leaves with the cut that is being made. */
  add(node: NodeRef): void {
    const cluster = this.#clusters.get(node.cluster);
    if (cluster !== undefined) cluster.removed += 1;
  }
}

/** Taken out of use by a verdict. */
function isOut(record: NodeRecord): boolean {
  const state = heldStateOf(record);
  return state === "down" || state === "degraded";
}

function entry<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
