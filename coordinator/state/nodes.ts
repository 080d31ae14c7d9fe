import { canonicalAddress } from "../../common/model/address.js";
import type { ClusterConfig, NodeConfig } from "../../common/config/model.js";
import { messageOf } from "../../common/errors.js";
import { nodeKey } from "../../common/model/node.js";
import type { NodeAttributes, NodeRef, NodeSource, Overlay } from "../../common/model/node.js";
import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, refused } from "./context.js";
import type { Context } from "./context.js";
import type { NodeRecord } from "./model.js";
import { clusterConfig, listed, stableJson } from "./state.js";
import type { State } from "./state.js";

type Of<T extends Command["type"]> = Extract<Command, { type: T }>;

export type NewNode = {
  readonly cluster: ClusterConfig;
  readonly addr: string;
  readonly attributes: NodeAttributes;
  readonly source: NodeSource;
  readonly declaredBy: string | null;
  readonly overlay: Overlay | null;
};

/** A node that enters the state: another one than any that had its address before. */
export function newNode(context: Context, wish: NewNode): NodeRecord {
  const isTrusted = passesWithoutChecks(wish.cluster);
  const state = isTrusted ? "healthy" : "unknown";
  return {
    cluster: wish.cluster.name,
    addr: wish.addr,
    attributes: wish.attributes,
    source: wish.source,
    declaredBy: wish.declaredBy,
    epoch: context.index,
    state,
    heldState: state,
    cause: isTrusted ? UNCHECKED_CAUSE : "not checked yet",
    isConclusive: false,
    sinceMs: context.atMs,
    cutIndex: 0,
    overlay: wish.overlay,
    damping: { penalty: 0, atMs: context.atMs },
  };
}

export const UNCHECKED_CAUSE = "the cluster has no checks and passes without them";

export function passesWithoutChecks(cluster: ClusterConfig): boolean {
  return cluster.checks.length === 0 && cluster.passWithoutChecks;
}

/** The overlay that a node's line in the configuration asks for. */
export function configuredOverlay(node: NodeConfig): Overlay | null {
  if (node.isDisabled) return { kind: "disabled", reason: "disabled in the configuration", untilMs: null };
  if (node.isSpare) return { kind: "spare", reason: "spare in the configuration", untilMs: null };
  return null;
}

/**
 * Splits what a caller or an agent says of a node as the configuration's reader does: `disabled` and `spare`
 * are no attributes to pass on, but the overlay that the node begins with.
 */
export function readWish(given: NodeAttributes, where: string): Pick<NewNode, "attributes" | "overlay"> {
  const { disabled, spare, ...attributes } = given;
  const kind = disabled === true ? "disabled" : spare === true ? "spare" : null;
  return { attributes, overlay: kind === null ? null : { kind, reason: `${kind} ${where}`, untilMs: null } };
}

export function addNode(context: Context, command: Of<"addNode">): CommandResult {
  const { state } = context;
  const { node } = command;
  const { attributes, overlay } = readWish(command.attributes, "when it was added");
  const cluster = clusterConfig(state, node.cluster);
  if (cluster === undefined) return unknownCluster(state, `add node "${node.addr}"`, node.cluster);
  const problem = addressProblem(node.addr);
  if (problem !== null) return refused("INVALID_ARGUMENT", problem);
  const existing = state.nodes.get(nodeKey(node));
  if (existing !== undefined) {
    if (command.isIdempotent && sameAttributes(existing.attributes, attributes)) return ACCEPTED;
    const message = `Cannot add node "${node.addr}": cluster "${node.cluster}" has it already, from the ${sourceText(existing)}`;
    return refused("CONFLICT", message);
  }
  context.addNode(
    newNode(context, {
      cluster,
      addr: node.addr,
      attributes,
      source: "api",
      declaredBy: null,
      overlay,
    }),
  );
  return ACCEPTED;
}

export function removeNode(context: Context, { node }: Of<"removeNode">): CommandResult {
  if (!context.state.nodes.has(nodeKey(node))) return unknownNode(context.state, "remove", node);
  context.removeNode(node);
  return ACCEPTED;
}

/**
 * Nodes of clusters that are not configured are skipped, and an event says so: the rest of the agent's
 * nodes must not wait for them.
 */
export function declareNodes(context: Context, command: Of<"declareNodes">): CommandResult {
  const { state } = context;
  const { agentId } = command;
  for (const { addr } of command.nodes) {
    const problem = addressProblem(addr);
    if (problem !== null) return refused("INVALID_ARGUMENT", `Agent "${agentId}": ${problem}`);
  }
  const declared = new Set(command.nodes.map(nodeKey));
  for (const node of [...state.nodes.values()]) {
    const isTheirs = node.source === "agent" && node.declaredBy === agentId;
    if (isTheirs && !declared.has(nodeKey(node))) context.removeNode(node);
  }
  for (const node of command.nodes) declareNode(context, agentId, node);
  return ACCEPTED;
}

function declareNode(
  context: Context,
  agentId: string,
  node: NodeRef & { readonly attributes: NodeAttributes },
): void {
  const { addr } = node;
  const { attributes, overlay } = readWish(node.attributes, `says agent "${agentId}"`);
  const cluster = clusterConfig(context.state, node.cluster);
  if (cluster === undefined) {
    context.emit({
      type: "nodes",
      cluster: node.cluster,
      addr,
      message: `Agent "${agentId}" declares node "${addr}" in cluster "${node.cluster}", which is not configured`,
      data: { agent: agentId },
    });
    return;
  }
  const existing = context.state.nodes.get(nodeKey(node));
  if (existing === undefined) {
    context.addNode(
      newNode(context, { cluster, addr, attributes, source: "agent", declaredBy: agentId, overlay }),
    );
    return;
  }
  // The file and the API keep what is theirs; a node that moved to another agent follows it.
  if (existing.source !== "agent") return;
  changeAttributes(context, { ...existing, declaredBy: agentId }, attributes);
}

/** Replaces a node's record, noting whether its attributes became others. Its state and epoch stay. */
export function changeAttributes(context: Context, node: NodeRecord, attributes: NodeAttributes): void {
  if (!sameAttributes(node.attributes, attributes)) context.touch(node.cluster).changed.push(node.addr);
  context.replaceNode({ ...node, attributes });
}

export function setOverlay(context: Context, command: Of<"setOverlay">): CommandResult {
  const { node, overlay, ifUntilMs } = command;
  const existing = context.state.nodes.get(nodeKey(node));
  if (existing === undefined) return unknownNode(context.state, "change", node);
  if (ifUntilMs !== undefined && existing.overlay?.untilMs !== ifUntilMs) {
    return refused("CONFLICT", `Node "${node.addr}" has no overlay any more that ends at ${ifUntilMs}`);
  }
  if (overlay !== null && overlay.untilMs !== null && overlay.untilMs <= context.atMs) {
    const message = `Cannot set ${overlay.kind} on node "${node.addr}": its end (${overlay.untilMs}) is not after now (${context.atMs})`;
    return refused("INVALID_ARGUMENT", message);
  }
  overlayNode(context, existing, overlay, overlay?.reason ?? "");
  return ACCEPTED;
}

/** Puts an overlay on a node or takes it away, and says so. */
export function overlayNode(context: Context, node: NodeRecord, overlay: Overlay | null, why: string): void {
  if (stableJson(node.overlay) === stableJson(overlay)) return;
  context.replaceNode({ ...node, overlay });
  const what = overlay === null ? `no longer ${node.overlay?.kind ?? ""}` : overlay.kind;
  context.emit({
    type: "overlay",
    cluster: node.cluster,
    addr: node.addr,
    message: why === "" ? what : `${what}: ${why}`,
    data: { overlay, before: node.overlay, by: context.by },
  });
}

export function sameAttributes(a: NodeAttributes, b: NodeAttributes): boolean {
  return stableJson(a) === stableJson(b);
}

function addressProblem(addr: string): string | null {
  try {
    const canonical = canonicalAddress(addr);
    return canonical === addr ? null : `Address "${addr}" must be written "${canonical}"`;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

function sourceText(node: NodeRecord): string {
  if (node.source === "agent") return `agent "${node.declaredBy ?? ""}"`;
  return node.source === "file" ? "configuration" : "API";
}

function unknownCluster(state: State, action: string, cluster: string): CommandResult {
  const known = listed(Object.keys(state.config.value.clusters).sort());
  return refused("NOT_FOUND", `Cannot ${action}: there is no cluster "${cluster}"; there are: ${known}`);
}

function unknownNode(state: State, action: string, node: NodeRef): CommandResult {
  if (clusterConfig(state, node.cluster) === undefined) {
    return unknownCluster(state, `${action} node "${node.addr}"`, node.cluster);
  }
  const known: string[] = [];
  for (const each of state.nodes.values()) if (each.cluster === node.cluster) known.push(each.addr);
  const message = `Cannot ${action} node "${node.addr}": cluster "${node.cluster}" has: ${listed(known.sort())}`;
  return refused("NOT_FOUND", message);
}
