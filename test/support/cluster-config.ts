import type { ClusterConfig, NodeConfig, TriggerConfig } from "../../common/config/model.js";

/** A cluster as the configuration would give it, with what a test does not mention left at its usual value. */
export function clusterOf(wish: Partial<ClusterConfig> & Pick<ClusterConfig, "name">): ClusterConfig {
  return {
    type: "http",
    nodes: [],
    checks: [{ id: "tcp", type: "tcp", options: {}, everyMs: 1_000, timeoutMs: 1_000, fall: 3, rise: 2 }],
    triggers: [],
    passWithoutChecks: false,
    minActiveNodes: 0,
    minSpareNodes: 0,
    purgeUnavailableMs: null,
    policy: { quorum: "majority", isDampingEnabled: true, removalBudget: 0.34, panicThreshold: 0.5 },
    ...wish,
  };
}

export function nodeOf(addr: string, wish: Partial<NodeConfig> = {}): NodeConfig {
  return { addr, attributes: {}, isDisabled: false, isSpare: false, ...wish };
}

export function triggerOf(id: string, on: TriggerConfig["on"], throttleMs = 0): TriggerConfig {
  return { id, on, throttleMs, env: {}, actions: [] };
}
