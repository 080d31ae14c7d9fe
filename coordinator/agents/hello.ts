import type { Hello } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import { readNodeAttributes } from "../../common/config/node-attributes.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { canonicalAddress } from "../../common/model/address.js";
import type { ApplyOutcome } from "../../common/model/delivery.js";
import type { NodeAttributes, NodeRef } from "../../common/model/node.js";
import { nodeKey } from "../../common/model/node.js";
import { describeIdentity } from "../../common/tls/identity.js";
import type { PeerIdentity } from "../../common/tls/identity.js";
import { issueCommand } from "../../common/tls/words.js";
import { fromName, fromNodeRef, fromUint64, invalid } from "../../common/wire/values.js";

export type DeclaredNode = NodeRef & { readonly attributes: NodeAttributes };

/** An agent's introduction, checked. */
export type AgentHello = {
  readonly id: string;
  readonly bootId: string;
  readonly host: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  readonly nodes: readonly DeclaredNode[];
  /** What the agent's proxies hold now. */
  readonly proxies: readonly ApplyOutcome[];
  readonly addresses: readonly string[];
  readonly networkIdentity: string;
  readonly assignmentRevision: number;
  readonly firstSequence: number;
  /** The cluster it has worked for; empty: none yet. */
  readonly clusterId: string;
};

const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;
const NODES_MAX = 10_000;
const LIST_MAX = 1_000;
const TEXT_MAX_CHARS = 512;

/** @throws ClusterduckError INVALID_ARGUMENT that names the field and what would work. */
export function decodeHello(wire: Hello): AgentHello {
  if (!AGENT_ID.test(wire.agentId)) {
    throw invalid(
      `the agent's id is ${JSON.stringify(wire.agentId.slice(0, 200))}, expected 1 to 128 letters, digits or any of . _ : @ -`,
    );
  }
  limit(wire.nodes.length, NODES_MAX, "nodes");
  limit(wire.proxies.length, LIST_MAX, "proxies");
  limit(wire.addresses.length, LIST_MAX, "addresses");
  limit(Object.keys(wire.labels).length, LIST_MAX, "labels");
  for (const text of [
    wire.host,
    wire.zone,
    wire.version,
    wire.clusterId,
    ...Object.entries(wire.labels).flat(),
  ]) {
    limit(text.length, TEXT_MAX_CHARS, "characters in a text");
  }
  return {
    id: wire.agentId,
    bootId: fromName(wire.bootId, "the agent's boot id"),
    host: wire.host,
    zone: wire.zone,
    labels: { ...wire.labels },
    version: wire.version,
    nodes: decodeNodes(wire),
    proxies: wire.proxies.map((proxy) => ({
      balancer: fromName(proxy.balancer, "a proxy's balancer"),
      wantedGeneration: proxy.appliedGeneration,
      appliedGeneration: proxy.appliedGeneration,
      observedGeneration: proxy.observedGeneration,
      error: proxy.error,
      warnings: [],
      method: "unchanged",
      durationMs: 0,
      fencing: { term: 0, index: 0 },
    })),
    addresses: wire.addresses,
    networkIdentity: wire.networkIdentity,
    assignmentRevision: fromUint64(wire.assignmentRevision, "the assignment's revision"),
    firstSequence: Math.max(1, fromUint64(wire.firstSequence, "the first sequence number")),
    clusterId: wire.clusterId,
  };
}

function decodeNodes(wire: Hello): readonly DeclaredNode[] {
  const nodes = wire.nodes.map((declared) => {
    const node = fromNodeRef(declared.node);
    return {
      cluster: node.cluster,
      addr: canonicalAddress(node.addr),
      attributes: attributesOf(node, declared.attributes ?? {}),
    };
  });
  return [...new Map(nodes.map((node) => [nodeKey(node), node])).values()];
}

/** The rules of the configuration's file hold for what an agent declares as well. */
function attributesOf(node: NodeRef, given: Readonly<Record<string, unknown>>): NodeAttributes {
  try {
    return readNodeAttributes(given);
  } catch (thrown) {
    throw invalid(`of node "${nodeKey(node)}": ${messageOf(thrown)}`);
  }
}

function limit(count: number, countMax: number, what: string): void {
  if (count > countMax) throw invalid(`the agent's Hello has ${count} ${what}, expected at most ${countMax}`);
}

/**
 * What an agent of another cluster has seen and holds says nothing here, and may harm.
 * @throws ClusterduckError CONFLICT
 */
export function assertSameCluster(
  hello: AgentHello,
  own: { readonly id: string; readonly clusterId: string },
): void {
  if (hello.clusterId === "" || hello.clusterId === own.clusterId) return;
  throw new ClusterduckError(
    "CONFLICT",
    `Coordinator "${own.id}" belongs to cluster ${own.clusterId}, agent "${hello.id}" to ${JSON.stringify(hello.clusterId)}`,
    { hint: "If the agent is meant to move, stop it, remove its state_dir and start it again" },
  );
}

/**
 * An agent speaks for nobody else: its certificate says its name. Null: there is no TLS.
 * @throws ClusterduckError PERMISSION_DENIED
 */
export function assertOwnName(hello: Pick<AgentHello, "id">, identity: PeerIdentity | null): void {
  if (identity === null || identity.name === hello.id) return;
  throw new ClusterduckError(
    "PERMISSION_DENIED",
    `it is for ${describeIdentity(identity)}, and the agent calls itself "${hello.id}"`,
    { hint: `Make another with ${issueCommand("agent", hello.id)}, or set agent.id to ${identity.name}` },
  );
}

/**
 * Programs of one major version speak one protocol.
 * @throws ClusterduckError VERSION_UNSUPPORTED
 */
export function assertCompatible(agentVersion: string, ownVersion: string): void {
  const major = (version: string) => /^(\d+)\./.exec(version)?.[1] ?? null;
  if (major(agentVersion) !== null && major(agentVersion) === major(ownVersion)) return;
  throw new ClusterduckError(
    "VERSION_UNSUPPORTED",
    `Agent has version ${JSON.stringify(agentVersion)}, this coordinator ${ownVersion}: their first numbers must be equal`,
    { hint: "Upgrade the coordinators first, then the agents" },
  );
}
