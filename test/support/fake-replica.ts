import type { BalancerConfig, ClusterConfig } from "../../common/config/model.js";
import type { AppliedEntry, Replica } from "../../coordinator/replica.js";
import type { Command } from "../../coordinator/state/commands.js";
import type { DeliveryRecord, NodeRecord, PanicRecord, StateView } from "../../coordinator/state/model.js";

/** A replica whose state a test sets by hand. */
export type FakeReplica = Replica & {
  readonly nodes: Map<string, NodeRecord>;
  readonly panics: Map<string, PanicRecord>;
  /** Commands that were proposed, in order. */
  readonly proposed: Command[];
  setBalancers(balancers: readonly BalancerConfig[]): void;
  /** Lets the state be one entry further, and tells the listeners of the command that made it. */
  entry(command: Command): void;
};

export function fakeReplica(balancers: readonly BalancerConfig[], nodes: readonly NodeRecord[]): FakeReplica {
  const listeners = new Set<(applied: AppliedEntry) => void>();
  const nodeMap = new Map(nodes.map((node) => [`${node.cluster}/${node.addr}`, node]));
  const panics = new Map<string, PanicRecord>();
  const deliveries = new Map<string, DeliveryRecord>();
  const proposed: Command[] = [];
  let index = 1;
  let current = balancers;
  const state: StateView = {
    clusterId: "test",
    get index() {
      return index;
    },
    term: 1,
    atMs: 0,
    get config() {
      return {
        revision: 1,
        source: "file" as const,
        fileHash: "",
        yaml: "",
        value: {
          clusters: Object.fromEntries(
            current.flatMap((each) => each.clusters).map((name) => [name, clusterOf(name)]),
          ),
          balancers: Object.fromEntries(current.map((each) => [each.name, each])),
        },
      };
    },
    nodes: nodeMap,
    agents: new Map(),
    panics,
    events: [],
    cuts: [],
    runs: new Map(),
    deliveries,
    members: new Map(),
    joinSecret: "",
    joinTokens: new Map(),
    requests: new Map(),
    featureLevel: { level: 0, version: "" },
  };
  const entry = (command: Command): void => {
    index++;
    const applied: AppliedEntry = {
      position: { index, term: 1 },
      command,
      result: { isAccepted: true },
      events: [],
    };
    for (const listener of listeners) listener(applied);
  };
  return {
    state,
    nodes: nodeMap,
    panics,
    proposed,
    setBalancers: (next) => (current = next),
    entry,
    propose: async (command) => {
      proposed.push(command);
      if (command.type === "recordDelivery") {
        const { delivery } = command;
        deliveries.set(`${delivery.balancer}@${delivery.target}`, { ...delivery, atMs: 0 });
      }
      entry(command);
      return { result: { isAccepted: true }, position: { index, term: 1 } };
    },
    onApplied: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onReplaced: () => () => undefined,
    readBarrier: async () => undefined,
  };
}

export function nodeRecord(cluster: string, addr: string, changes: Partial<NodeRecord> = {}): NodeRecord {
  const state = changes.state ?? "healthy";
  return {
    cluster,
    addr,
    attributes: {},
    source: "file",
    declaredBy: null,
    epoch: 1,
    state,
    heldState: state,
    cause: "",
    isConclusive: false,
    sinceMs: 0,
    cutIndex: state === "unknown" ? 0 : 1,
    overlay: null,
    damping: { penalty: 0, atMs: 0 },
    ...changes,
  };
}

function clusterOf(name: string): ClusterConfig {
  const check = {
    id: "tcp",
    type: "tcp" as const,
    options: {},
    everyMs: 1_000,
    timeoutMs: 1_000,
    fall: 3,
    rise: 2,
  };
  return {
    name,
    type: "http",
    nodes: [],
    checks: [check],
    triggers: [],
    passWithoutChecks: false,
    minActiveNodes: 0,
    minSpareNodes: 0,
    purgeUnavailableMs: null,
    policy: { quorum: "majority", isDampingEnabled: true, removalBudget: 0.34, panicThreshold: 0.5 },
  };
}
