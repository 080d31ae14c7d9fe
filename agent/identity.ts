import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { AgentConfig } from "../common/config/model.js";
import type { NodeRef } from "../common/model/node.js";
import { localAddresses, networkIdentity } from "../common/net/host-identity.js";
import type { ProxyState } from "./applies.js";

/** Who this agent is for as long as its process lives. */
export type AgentIdentity = {
  readonly id: string;
  /** New at every start: coordinators see a restart by it. */
  readonly bootId: string;
  readonly host: string;
  readonly networkIdentity: string;
  readonly version: string;
};

export function agentIdentity(config: AgentConfig, version: string): AgentIdentity {
  const host = hostname();
  return { id: config.id, bootId: randomUUID(), host, networkIdentity: networkIdentity(), version };
}

/** What every coordinator is told of this agent; its stream adds what concerns it alone. */
export type Introduction = {
  agentId: string;
  bootId: string;
  host: string;
  zone: string;
  labels: Record<string, string>;
  version: string;
  nodes: { node: NodeRef; attributes: Record<string, string | number | boolean> }[];
  proxies: ProxyState[];
  addresses: string[];
  networkIdentity: string;
  execChecks: string[];
  /** Empty before the first welcome. */
  clusterId: string;
};

/** The introduction. Addresses are read anew each time: they change while an agent runs. */
export function introduce(
  identity: AgentIdentity,
  config: AgentConfig,
  proxies: readonly ProxyState[],
  clusterId: string,
): Introduction {
  return {
    agentId: identity.id,
    bootId: identity.bootId,
    host: identity.host,
    zone: config.zone,
    labels: { ...config.labels },
    version: identity.version,
    nodes: config.nodes.map(({ cluster, addr, attributes, isDisabled, isSpare }) => ({
      node: { cluster, addr },
      attributes: {
        ...attributes,
        ...(isDisabled ? { disabled: true } : {}),
        ...(isSpare ? { spare: true } : {}),
      },
    })),
    proxies: proxies.map((proxy) => ({ ...proxy })),
    addresses: [...localAddresses()],
    networkIdentity: identity.networkIdentity,
    execChecks: Object.keys(config.execChecks),
    clusterId,
  };
}
