/** Small configurations, records and reports for tests of the decision model. */
import type {
  CheckConfig,
  ClusterConfig,
  PolicyConfig,
  ReplicatedConfig,
} from "../../common/config/model.js";
import { nodeKey } from "../../common/model/node.js";
import type { NodeKey, NodeRef } from "../../common/model/node.js";
import type { Observation, ObservationReport } from "../../common/model/observation.js";
import type { NodeRecord, PanicRecord, StateView } from "../../coordinator/state/model.js";

export const POLICY: PolicyConfig = {
  quorum: "majority",
  isDampingEnabled: true,
  removalBudget: 0.34,
  panicThreshold: 0.5,
};

export function aCheck(changes: Partial<CheckConfig> = {}): CheckConfig {
  return {
    id: "http",
    type: "http",
    options: {},
    everyMs: 1_000,
    timeoutMs: 1_000,
    fall: 3,
    rise: 2,
    ...changes,
  };
}

export function aCluster(changes: Partial<ClusterConfig> = {}): ClusterConfig {
  return {
    name: "web",
    type: "http",
    nodes: [],
    checks: [aCheck()],
    triggers: [],
    passWithoutChecks: false,
    minActiveNodes: 0,
    minSpareNodes: 0,
    purgeUnavailableMs: null,
    policy: POLICY,
    ...changes,
  };
}

export function aNode(index: number, cluster = "web"): NodeRef {
  return { cluster, addr: `10.0.${index >> 8}.${index & 255}:80` };
}

export function aRecord(node: NodeRef, changes: Partial<NodeRecord> = {}): NodeRecord {
  return {
    ...node,
    attributes: {},
    source: "file",
    declaredBy: null,
    epoch: 1,
    state: "healthy",
    heldState: "healthy",
    cause: "",
    isConclusive: false,
    sinceMs: 0,
    cutIndex: 0,
    overlay: null,
    damping: { penalty: 0, atMs: 0 },
    ...changes,
  };
}

/** A state that a test changes by hand. */
export type TestState = Pick<StateView, "config"> & {
  readonly nodes: Map<NodeKey, NodeRecord>;
  readonly panics: Map<string, PanicRecord>;
};

export function aState(clusters: readonly ClusterConfig[], records: readonly NodeRecord[]): TestState {
  const value: ReplicatedConfig = {
    clusters: Object.fromEntries(clusters.map((cluster) => [cluster.name, cluster])),
    balancers: {},
  };
  return {
    config: { revision: 1, source: "file", fileHash: "", yaml: "", value },
    nodes: new Map(records.map((record) => [nodeKey(record), record])),
    panics: new Map(),
  };
}

export const PASSED: Observation = { outcome: "passed", latencyMs: 1 };
export const TIMED_OUT: Observation = {
  outcome: "failed",
  reason: "timedOut",
  detail: "no reply within 1000 ms",
  latencyMs: 1_000,
};
export const REFUSED: Observation = {
  outcome: "failed",
  reason: "refused",
  detail: "connect ECONNREFUSED",
  latencyMs: 1,
};
export const IMPAIRED: Observation = {
  outcome: "degraded",
  reason: "loading",
  detail: "LOADING",
  latencyMs: 1,
};
export const CANNOT_TELL: Observation = {
  outcome: "inconclusive",
  reason: "auth",
  detail: "NOAUTH",
  latencyMs: 1,
};

export function aReport(
  node: NodeRef,
  observation: Observation,
  takenAtMs: number,
  changes: Partial<ObservationReport> = {},
): ObservationReport {
  return {
    node,
    check: "http",
    observation,
    consecutive: 1,
    refusals: 0,
    hasProcessExited: false,
    isDoubt: false,
    takenAtMs,
    ...changes,
  };
}
