import type { BalancerConfig, ClusterType } from "../../common/config/model.js";
import type { NodeAttributes, NodeState, OverlayKind } from "../../common/model/node.js";
import type { NodeRecord, StateView } from "../state/model.js";

/** What a renderer reads of the state, and nothing else: what is not here cannot change a generation. */
export type BalancerView = {
  readonly balancer: BalancerConfig;
  /** In the balancer's order. */
  readonly clusters: readonly ClusterSlice[];
  /** Clusters that the balancer names and the state does not have. */
  readonly missing: readonly string[];
};

export type ClusterSlice = {
  readonly name: string;
  readonly type: ClusterType;
  readonly isPanicking: boolean;
  /** Sorted by address. */
  readonly nodes: readonly NodeSlice[];
};

export type NodeSlice = {
  readonly addr: string;
  readonly attributes: NodeAttributes;
  readonly state: NodeState;
  readonly heldState: NodeState;
  readonly isConclusive: boolean;
  readonly overlay: OverlayKind | null;
};

/** Cuts the part of the state that one balancer depends on; null when the configuration has no such balancer. */
export function balancerView(state: StateView, name: string): BalancerView | null {
  const { balancers, clusters } = state.config.value;
  const balancer = Object.hasOwn(balancers, name) ? balancers[name] : undefined;
  if (balancer === undefined) return null;

  const nodesOf = new Map<string, NodeSlice[]>(balancer.clusters.map((cluster) => [cluster, []]));
  for (const record of state.nodes.values()) nodesOf.get(record.cluster)?.push(sliceOf(record));

  const slices: ClusterSlice[] = [];
  const missing: string[] = [];
  for (const [cluster, nodes] of nodesOf) {
    const config = Object.hasOwn(clusters, cluster) ? clusters[cluster] : undefined;
    if (config === undefined) {
      missing.push(cluster);
      continue;
    }
    nodes.sort((a, b) => (a.addr < b.addr ? -1 : 1));
    slices.push({ name: cluster, type: config.type, isPanicking: state.panics.has(cluster), nodes });
  }
  return { balancer, clusters: slices, missing };
}

function sliceOf(record: NodeRecord): NodeSlice {
  return {
    addr: record.addr,
    attributes: record.attributes,
    state: record.state,
    heldState: record.heldState,
    isConclusive: record.isConclusive,
    overlay: record.overlay?.kind ?? null,
  };
}
