import { nodeKey } from "../../common/model/node.js";
import type { ClusterConfig, NodeConfig } from "../../common/config/model.js";
import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, refused } from "./context.js";
import type { Context } from "./context.js";
import type { ConfigRecord, NodeRecord } from "./model.js";
import {
  changeAttributes,
  configuredOverlay,
  newNode,
  overlayNode,
  passesWithoutChecks,
  sameAttributes,
  UNCHECKED_CAUSE,
} from "./nodes.js";
import { cancelOrphanedRuns } from "./runs.js";
import { clusterConfig, clusterNodes, stableJson } from "./state.js";

/**
 * Makes a configuration the tier's. Nodes follow the *difference* between the old text and the new one:
 * a node that the API removed stays away as long as its own line is unchanged, and nodes that the API or
 * an agent added stay whatever the text says (docs/decisions/file-and-api-nodes.md).
 */
export function applyConfig(
  context: Context,
  command: Extract<Command, { type: "applyConfig" }>,
): CommandResult {
  const { state } = context;
  const before = state.config;
  if (command.ifRevision !== null && command.ifRevision !== before.revision) {
    const message = `Cannot apply the configuration: it was made from revision ${command.ifRevision}, the current one is ${before.revision}`;
    return refused("CONFLICT", message);
  }
  const fileHash = command.source === "file" ? command.fileHash : before.fileHash;
  const isSame = command.yaml === before.yaml && stableJson(command.config) === stableJson(before.value);
  if (isSame && before.revision > 0) {
    state.config = { ...before, source: command.source, fileHash };
    return ACCEPTED;
  }
  const { config: value, yaml, source } = command;
  touchAll(context, Object.keys(before.value.clusters), Object.keys(value.clusters));
  state.config = { revision: context.index, source, fileHash, yaml, value };
  removeClusters(context, before);
  for (const cluster of Object.values(value.clusters)) {
    applyCluster(context, cluster, clusterConfig({ config: before }, cluster.name));
  }
  cancelOrphanedRuns(context);
  dropDeliveries(context);
  const count = Object.keys(value.clusters).length;
  context.emit({
    type: "config",
    message: `Configuration of ${count} ${count === 1 ? "cluster" : "clusters"} from the ${source === "file" ? "file" : "API"}`,
    data: { revision: context.index, replaced: before.revision, source, by: context.by },
  });
  return ACCEPTED;
}

function touchAll(context: Context, ...names: readonly (readonly string[])[]): void {
  for (const name of names.flat()) context.touch(name);
}

function removeClusters(context: Context, before: ConfigRecord): void {
  for (const name of Object.keys(before.value.clusters)) {
    if (clusterConfig(context.state, name) !== undefined) continue;
    for (const node of clusterNodes(context.state, name)) context.removeNode(node);
  }
}

function applyCluster(context: Context, cluster: ClusterConfig, before: ClusterConfig | undefined): void {
  const former = new Map((before?.nodes ?? []).map((node) => [node.addr, node]));
  const listed = new Set(cluster.nodes.map((node) => node.addr));
  for (const { addr } of former.values()) {
    const node = context.state.nodes.get(nodeKey({ cluster: cluster.name, addr }));
    if (!listed.has(addr) && node?.source === "file") context.removeNode(node);
  }
  for (const node of cluster.nodes) applyNode(context, cluster, node, former.get(node.addr));
  if (passesWithoutChecks(cluster) && before !== undefined && !passesWithoutChecks(before)) {
    trustAll(context, cluster);
  }
}

function applyNode(
  context: Context,
  cluster: ClusterConfig,
  wanted: NodeConfig,
  former: NodeConfig | undefined,
): void {
  if (former !== undefined && isSameNode(former, wanted)) return;
  const { addr, attributes } = wanted;
  const overlay = configuredOverlay(wanted);
  const existing = context.state.nodes.get(nodeKey({ cluster: cluster.name, addr }));
  if (existing === undefined) {
    context.addNode(
      newNode(context, { cluster, addr, attributes, source: "file", declaredBy: null, overlay }),
    );
    return;
  }
  changeAttributes(context, { ...existing, source: "file", declaredBy: null }, attributes);
  applyConfiguredOverlay(context, existing, wanted, former);
}

/** The text changes only an overlay that it set itself: an operator's word stays. */
function applyConfiguredOverlay(
  context: Context,
  existing: NodeRecord,
  wanted: NodeConfig,
  former: NodeConfig | undefined,
): void {
  const before = former === undefined ? null : configuredOverlay(former);
  const after = configuredOverlay(wanted);
  if (before?.kind === after?.kind) return;
  const isFromText = existing.overlay === null || existing.overlay.kind === before?.kind;
  const node = context.state.nodes.get(nodeKey(existing));
  if (!isFromText || node === undefined) return;
  overlayNode(context, node, after, after?.reason ?? "by the configuration");
}

function trustAll(context: Context, cluster: ClusterConfig): void {
  for (const node of clusterNodes(context.state, cluster.name)) {
    if (node.state === "healthy") continue;
    const { addr, state: from } = node;
    context.replaceNode({
      ...node,
      state: "healthy",
      heldState: "healthy",
      cause: UNCHECKED_CAUSE,
      isConclusive: false,
      sinceMs: context.atMs,
    });
    context.transitions.push({ cluster: cluster.name, addr, from, to: "healthy", cause: UNCHECKED_CAUSE });
    context.emit({
      type: "state",
      cluster: cluster.name,
      addr,
      message: `${from} → healthy: ${UNCHECKED_CAUSE}`,
      data: { from, to: "healthy", cause: UNCHECKED_CAUSE, isConclusive: false },
    });
  }
}

function isSameNode(a: NodeConfig, b: NodeConfig): boolean {
  return (
    a.isDisabled === b.isDisabled && a.isSpare === b.isSpare && sameAttributes(a.attributes, b.attributes)
  );
}

function dropDeliveries(context: Context): void {
  const { deliveries, config } = context.state;
  for (const [key, { balancer }] of deliveries) {
    if (!Object.hasOwn(config.value.balancers, balancer)) deliveries.delete(key);
  }
}
