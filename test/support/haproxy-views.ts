import type { ClusterType, HaproxyConfig, ProxyTargetConfig } from "../../common/config/model.js";
import type { BalancerView, ClusterSlice, NodeSlice } from "../../coordinator/render/balancer-view.js";

/** A balancer of one cluster "web", as the schema would fill it in. */
export function haproxyConfig(changes: Partial<HaproxyConfig> = {}): HaproxyConfig {
  return {
    type: "haproxy",
    name: "front",
    clusters: ["web"],
    mode: "file",
    deliver: "local",
    target: null,
    frontends: {},
    algorithm: "roundrobin",
    protocol: null,
    globalOptions: [],
    defaultsOptions: [],
    backendOptions: [],
    isCheckedByProxy: false,
    mayBeEmpty: false,
    slowStartMs: 0,
    ...changes,
  };
}

export function proxyTarget(
  changes: Partial<ProxyTargetConfig> & { readonly path: string },
): ProxyTargetConfig {
  return {
    program: "haproxy",
    extraFiles: [],
    reload: { kind: "none" },
    quietMs: 0,
    quietMaxMs: 0,
    reloadEveryMs: 0,
    statsSocket: null,
    ...changes,
  };
}

export function nodeSlice(addr: string, changes: Partial<NodeSlice> = {}): NodeSlice {
  const state = changes.state ?? "healthy";
  return {
    addr,
    attributes: {},
    state,
    heldState: state === "unknown" ? "healthy" : state,
    isConclusive: false,
    overlay: null,
    ...changes,
  };
}

export function clusterSlice(
  nodes: readonly NodeSlice[],
  changes: { readonly name?: string; readonly type?: ClusterType; readonly isPanicking?: boolean } = {},
): ClusterSlice {
  return { name: "web", type: "http", isPanicking: false, nodes, ...changes };
}

export function viewOf(balancer: HaproxyConfig, clusters: readonly ClusterSlice[]): BalancerView {
  return { balancer, clusters, missing: [] };
}
