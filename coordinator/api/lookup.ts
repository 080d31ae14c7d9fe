import type { ClusterConfig } from "../../common/config/model.js";
import { ClusterduckError } from "../../common/errors.js";
import { canonicalAddress } from "../../common/model/address.js";
import { nodeKey } from "../../common/model/node.js";
import type { NodeRef } from "../../common/model/node.js";
import type { NodeRecord, StateView } from "../state/model.js";

/** Names listed in an error; more than these would hide the message. */
const NAMES_SHOWN = 5;

/** @throws ClusterduckError NOT_FOUND that lists the clusters there are. */
export function requireCluster(state: StateView, name: string): ClusterConfig {
  const { clusters } = state.config.value;
  const cluster = Object.hasOwn(clusters, name) ? clusters[name] : undefined;
  if (cluster !== undefined) return cluster;
  throw new ClusterduckError(
    "NOT_FOUND",
    `No cluster ${JSON.stringify(name)}: ${listNames(Object.keys(clusters), "the configuration has no clusters", "there are")}`,
    { hint: "duckctl clusters list" },
  );
}

/**
 * Reads a node's name as a request gives it.
 * @throws ClusterduckError INVALID_ARGUMENT for a missing part or an address that cannot be one.
 */
export function readNodeRef(node: NodeRef | undefined): NodeRef {
  if (node === undefined || node.cluster === "" || node.addr === "") {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      "A node needs a cluster and an address, as in `web 10.0.0.1:80`",
    );
  }
  return { cluster: node.cluster, addr: canonicalAddress(node.addr) };
}

/** @throws ClusterduckError NOT_FOUND that lists the nodes there are. */
export function requireNode(state: StateView, node: NodeRef): NodeRecord {
  const found = state.nodes.get(nodeKey(node));
  if (found !== undefined) return found;
  requireCluster(state, node.cluster);
  const addrs = [...state.nodes.values()]
    .filter((each) => each.cluster === node.cluster)
    .map((each) => each.addr);
  throw new ClusterduckError(
    "NOT_FOUND",
    `No node ${JSON.stringify(node.addr)} in cluster "${node.cluster}": ${listNames(addrs, "it has no nodes", "it has")}`,
    { hint: `duckctl nodes list ${node.cluster}` },
  );
}

/** The nodes of one cluster or, for an empty name, of all, sorted by cluster and address. */
export function nodesInOrder(state: StateView, cluster: string): readonly NodeRecord[] {
  return [...state.nodes.values()]
    .filter((node) => cluster === "" || node.cluster === cluster)
    .sort((left, right) => compareText(left.cluster, right.cluster) || compareText(left.addr, right.addr));
}

/** @throws ClusterduckError NOT_FOUND for a trigger that is neither configured nor has runs that are kept. */
export function requireTrigger(state: StateView, cluster: string, trigger: string): void {
  const clusters = Object.values(state.config.value.clusters).filter(
    (each) => cluster === "" || each.name === cluster,
  );
  const configured = clusters.flatMap((each) => each.triggers.map(({ id }) => id));
  if (configured.includes(trigger)) return;
  const isOfRun = (run: { cluster: string; trigger: string }): boolean =>
    run.trigger === trigger && (cluster === "" || run.cluster === cluster);
  if ([...state.runs.values()].some(isOfRun)) return;
  const where = cluster === "" ? "" : ` in cluster "${cluster}"`;
  throw new ClusterduckError(
    "NOT_FOUND",
    `No trigger ${JSON.stringify(trigger)}${where}: ${listNames([...new Set(configured)], "there are none", "there are")}`,
    { hint: `duckctl triggers list${cluster === "" ? "" : ` ${cluster}`}` },
  );
}

/** @throws ClusterduckError NOT_FOUND that lists the balancers there are. */
export function requireBalancer(state: StateView, name: string): void {
  const { balancers } = state.config.value;
  if (Object.hasOwn(balancers, name)) return;
  throw new ClusterduckError(
    "NOT_FOUND",
    `No balancer ${JSON.stringify(name)}: ${listNames(Object.keys(balancers), "the configuration has no balancers", "there are")}`,
    { hint: "duckctl balancers list" },
  );
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function listNames(names: readonly string[], none: string, some: string): string {
  if (names.length === 0) return none;
  const shown = [...names].sort().slice(0, NAMES_SHOWN);
  const rest = names.length - shown.length;
  return `${some} ${shown.map((name) => JSON.stringify(name)).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
