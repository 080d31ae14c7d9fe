import type { ClusterConfig } from "../../common/config/model.js";
import type { NodeKey, NodeState } from "../../common/model/node.js";
import type {
  AgentRecord,
  ConfigRecord,
  CutRecord,
  DeliveryRecord,
  EventRecord,
  FeatureLevel,
  JoinTokenRecord,
  MemberRecord,
  NodeRecord,
  PanicRecord,
  RequestRecord,
  RunRecord,
  StateView,
} from "./model.js";

/** What `StateView` shows, for those who apply commands. Records are replaced, never changed. */
export type State = {
  clusterId: string;
  index: number;
  term: number;
  atMs: number;
  config: ConfigRecord;
  nodes: Map<NodeKey, NodeRecord>;
  agents: Map<string, AgentRecord>;
  panics: Map<string, PanicRecord>;
  events: EventRecord[];
  cuts: CutRecord[];
  runs: Map<string, RunRecord>;
  deliveries: Map<string, DeliveryRecord>;
  members: Map<string, MemberRecord>;
  joinSecret: string;
  joinTokens: Map<string, JoinTokenRecord>;
  requests: Map<string, RequestRecord>;
  featureLevel: FeatureLevel;
};

export function emptyState(): State {
  return {
    clusterId: "",
    index: 0,
    term: 0,
    atMs: 0,
    config: { revision: 0, source: "none", fileHash: "", yaml: "", value: { clusters: {}, balancers: {} } },
    nodes: new Map(),
    agents: new Map(),
    panics: new Map(),
    events: [],
    cuts: [],
    runs: new Map(),
    deliveries: new Map(),
    members: new Map(),
    joinSecret: "",
    joinTokens: new Map(),
    requests: new Map(),
    featureLevel: { level: 0, version: "" },
  };
}

/** Undefined for a cluster that is not configured. */
export function clusterConfig(state: Pick<StateView, "config">, name: string): ClusterConfig | undefined {
  const { clusters } = state.config.value;
  return Object.hasOwn(clusters, name) ? clusters[name] : undefined;
}

export function clusterNodes(state: Pick<StateView, "nodes">, cluster: string): readonly NodeRecord[] {
  const nodes: NodeRecord[] = [];
  for (const node of state.nodes.values()) if (node.cluster === cluster) nodes.push(node);
  return nodes;
}

/** The last state that was a verdict: not knowing changes nothing. */
export function heldStateOf(node: Pick<NodeRecord, "state" | "heldState">): NodeState {
  return node.state === "unknown" ? node.heldState : node.state;
}

/**
 * Whether traffic goes to a node: healthy (degraded is routed around) and no operator's word against it. One
 * that became unknown stays what it was.
 */
export function isHeldActive(node: Pick<NodeRecord, "state" | "heldState" | "overlay">): boolean {
  return heldStateOf(node) === "healthy" && node.overlay === null;
}

/** Addresses of a cluster that traffic goes to, sorted. */
export function activeAddrs(state: Pick<StateView, "nodes">, cluster: string): readonly string[] {
  return clusterNodes(state, cluster)
    .filter(isHeldActive)
    .map((node) => node.addr)
    .sort();
}

/**
 * How many spares a cluster lacks of its `min_spare_nodes`. One that nobody has judged yet is not missing:
 * at the first start that would be an alarm about nothing.
 */
export function sparesMissing(state: Pick<StateView, "nodes" | "config">, cluster: string): number {
  const wanted = clusterConfig(state, cluster)?.minSpareNodes ?? 0;
  if (wanted === 0) return 0;
  const inReserve = clusterNodes(state, cluster).filter(
    (node) =>
      node.overlay?.kind === "spare" && heldStateOf(node) !== "down" && heldStateOf(node) !== "degraded",
  );
  return Math.max(0, wanted - inReserve.length);
}

/** `"a", "b" and 3 more`, for messages. */
export function listed(names: readonly string[], limit = 8): string {
  if (names.length === 0) return "none";
  const shown = names.slice(0, limit).map((name) => `"${name}"`);
  return names.length > limit ? `${shown.join(", ")} and ${names.length - limit} more` : shown.join(", ");
}

/** JSON with sorted keys: equal values give equal texts. */
export function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : each,
  );
}
