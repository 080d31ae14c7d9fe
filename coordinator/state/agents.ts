import { nodeKey } from "../../common/model/node.js";
import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, refused } from "./context.js";
import type { Context } from "./context.js";
import { listed } from "./state.js";

/** An agent has connected, or tells something new about itself. */
export function agentFound(
  context: Context,
  { agent }: Extract<Command, { type: "agentFound" }>,
): CommandResult {
  const known = context.state.agents.get(agent.id);
  const isNews = known === undefined || known.state === "lost" || known.bootId !== agent.bootId;
  const sinceMs = isNews ? context.atMs : known.sinceMs;
  context.state.agents.set(agent.id, { ...agent, state: "connected", sinceMs });
  if (!isNews) return ACCEPTED;
  const how =
    known === undefined ? "is new" : known.bootId === agent.bootId ? "is back" : "has been restarted";
  context.emit({
    type: "agent.found",
    message: `Agent "${agent.id}" on ${agent.host} ${how}`,
    data: {
      agent: agent.id,
      host: agent.host,
      zone: agent.zone,
      version: agent.version,
      bootId: agent.bootId,
    },
  });
  return ACCEPTED;
}

/** Says nothing about the nodes beside the agent: they keep their states. */
export function agentLost(context: Context, command: Extract<Command, { type: "agentLost" }>): CommandResult {
  const { agentId, bootId, cause } = command;
  const known = context.state.agents.get(agentId);
  if (known === undefined) return unknownAgent(context, agentId);
  if (known.bootId !== bootId) {
    return refused(
      "CONFLICT",
      `Agent "${agentId}" has been restarted since (boot ${known.bootId}, not ${bootId})`,
    );
  }
  if (known.state === "lost") return ACCEPTED;
  context.state.agents.set(agentId, { ...known, state: "lost", sinceMs: context.atMs });
  context.emit({
    type: "agent.lost",
    message: `Agent "${agentId}" on ${known.host} is lost: ${cause}`,
    data: { agent: agentId, host: known.host, zone: known.zone, cause },
  });
  return ACCEPTED;
}

/** A connected agent cannot be removed: it would be found again at once. */
export function removeAgent(
  context: Context,
  { agentId }: Extract<Command, { type: "removeAgent" }>,
): CommandResult {
  const known = context.state.agents.get(agentId);
  if (known === undefined) return unknownAgent(context, agentId);
  if (known.state === "connected") {
    const message = `Cannot remove agent "${agentId}": it is connected; stop it on ${known.host} first, it counts as lost a few seconds later`;
    return refused("CONFLICT", message);
  }
  const nodes = [...context.state.nodes.values()].filter((node) => node.declaredBy === agentId);
  for (const node of nodes) context.removeNode(node);
  context.state.agents.delete(agentId);
  for (const [key, { target }] of context.state.deliveries) {
    if (target === agentId) context.state.deliveries.delete(key);
  }
  const what = nodes.length === 0 ? "" : ` with what it had declared: ${listed(nodes.map(nodeKey))}`;
  context.emit({
    type: "agent.removed",
    message: `Agent "${agentId}" on ${known.host} was removed${what}`,
    data: { agent: agentId, host: known.host, nodes: nodes.map(nodeKey), by: context.by },
  });
  return ACCEPTED;
}

function unknownAgent(context: Context, agentId: string): CommandResult {
  const names = listed([...context.state.agents.keys()].sort());
  return refused("NOT_FOUND", `There is no agent "${agentId}"; there are: ${names}`);
}
