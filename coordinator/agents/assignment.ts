import { isDeepStrictEqual } from "node:util";
import ipaddr from "ipaddr.js";
import type { ScheduledNode } from "../../checks/schedule.js";
import { parseAddress } from "../../common/model/address.js";
import type { NodeKey, NodeRef } from "../../common/model/node.js";
import { nodeKey } from "../../common/model/node.js";
import { isLoopbackHost } from "../../common/net/loopback.js";
import type { NodeRecord, StateView } from "../state/model.js";

/** Where an agent stands, as its Hello said. */
export type AgentPlace = {
  readonly id: string;
  readonly host: string;
  readonly addresses: readonly string[];
  readonly networkIdentity: string;
  readonly isConnected: boolean;
};

/** Who stands beside which node, and what each agent has to check. */
export type Plan = {
  readonly beside: ReadonlyMap<NodeKey, string>;
  /** Loopback and unix addresses, with the network in which they mean something; null: nobody knows which. */
  readonly homes: ReadonlyMap<NodeKey, string | null>;
  readonly work: ReadonlyMap<string, ReadonlyMap<NodeKey, ScheduledNode>>;
};

export type PlanInput = {
  readonly state: Pick<StateView, "config" | "nodes" | "agents" | "members">;
  readonly agents: readonly AgentPlace[];
  /** This coordinator's: loopback and unix addresses in the configuration are meant from where it stands. */
  readonly networkIdentity: string;
};

/**
 * Gives each node to the agent beside it: the one that declared it, else one whose host has the node's
 * address. Of several the connected one, then the first by name, so that every coordinator decides alike.
 */
export function planAssignments(input: PlanInput): Plan {
  const agents = [...input.agents].sort(byConnectionThenId);
  const byHost = indexByHost(agents);
  const ours = commonNetwork(input);
  const onOurHost = agents.find((agent) => agent.networkIdentity === ours)?.id ?? null;
  const beside = new Map<NodeKey, string>();
  const homes = new Map<NodeKey, string | null>();
  const work = new Map<string, Map<NodeKey, ScheduledNode>>();
  for (const record of input.state.nodes.values()) {
    const agentId = record.declaredBy ?? agentAt(record, byHost, onOurHost);
    const key = nodeKey(record);
    if (isLocalAddress(record.addr)) {
      homes.set(key, record.declaredBy === null ? ours : networkOf(record.declaredBy, agents, input, ours));
    }
    if (agentId === null) continue;
    beside.set(key, agentId);
    const scheduled = scheduledNode(input.state, record);
    if (scheduled === null) continue;
    const nodes = work.get(agentId) ?? new Map<NodeKey, ScheduledNode>();
    work.set(agentId, nodes.set(key, scheduled));
  }
  return { beside, homes, work };
}

/** Where the configuration's loopback addresses are meant; null: the coordinators stand in several networks. */
function commonNetwork({ state, networkIdentity }: PlanInput): string | null {
  const members = [...state.members.values()].filter(({ removedAtMs }) => removedAtMs === null);
  const isCommon = members.every((member) => member.networkIdentity === networkIdentity);
  return isCommon ? networkIdentity : null;
}

/** Of an agent that has not come since this coordinator's start, the state knows it. */
function networkOf(
  agentId: string,
  agents: readonly AgentPlace[],
  { state }: PlanInput,
  ours: string | null,
): string | null {
  const here = agents.find(({ id }) => id === agentId)?.networkIdentity;
  return here ?? state.agents.get(agentId)?.networkIdentity ?? ours;
}

function isLocalAddress(addr: string): boolean {
  const address = parseAddress(addr);
  return address.kind === "unix" || isLoopbackHost(address.host);
}

export type AssignmentDiff = {
  readonly changed: readonly ScheduledNode[];
  readonly removed: readonly NodeRef[];
};

/** What an agent that holds `before` must be told to hold `after`. */
export function diffAssignments(
  before: ReadonlyMap<NodeKey, ScheduledNode>,
  after: ReadonlyMap<NodeKey, ScheduledNode>,
): AssignmentDiff {
  const changed = [...after].filter(([key, node]) => !isSame(before.get(key), node)).map(([, node]) => node);
  const removed = [...before].filter(([key]) => !after.has(key)).map(([, { node }]) => node);
  return { changed, removed };
}

function isSame(before: ScheduledNode | undefined, after: ScheduledNode): boolean {
  if (before === undefined || before.epoch !== after.epoch || before.clusterType !== after.clusterType)
    return false;
  return before.checks === after.checks || isDeepStrictEqual(before.checks, after.checks);
}

function byConnectionThenId(one: AgentPlace, other: AgentPlace): number {
  if (one.isConnected !== other.isConnected) return one.isConnected ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}

/** Null for a node whose cluster has left the configuration, or has no checks. */
function scheduledNode(state: PlanInput["state"], record: NodeRecord): ScheduledNode | null {
  const clusters = state.config.value.clusters;
  const cluster = Object.hasOwn(clusters, record.cluster) ? clusters[record.cluster] : undefined;
  if (cluster === undefined || cluster.checks.length === 0) return null;
  return {
    node: { cluster: record.cluster, addr: record.addr },
    epoch: record.epoch,
    clusterType: cluster.type,
    checks: cluster.checks,
  };
}

function agentAt(
  record: NodeRecord,
  byHost: ReadonlyMap<string, string>,
  onOurHost: string | null,
): string | null {
  const address = parseAddress(record.addr);
  if (address.kind === "unix" || isLoopbackHost(address.host)) return onOurHost;
  return byHost.get(canonicalHost(address.host)) ?? null;
}

/** The first agent of each address and host name. */
function indexByHost(agents: readonly AgentPlace[]): ReadonlyMap<string, string> {
  const byHost = new Map<string, string>();
  for (const agent of agents) {
    for (const host of [...agent.addresses, agent.host]) {
      const key = canonicalHost(host);
      // An agent that claims a loopback address would draw in nodes that mean another machine.
      if (host !== "" && !isLoopbackHost(host) && !byHost.has(key)) byHost.set(key, agent.id);
    }
  }
  return byHost;
}

/** One text for the spellings of an address; names in lower case. */
function canonicalHost(host: string): string {
  return ipaddr.isValid(host) ? ipaddr.process(host).toString() : host.toLowerCase();
}
