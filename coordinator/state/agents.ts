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
  if (known === undefined) {
    const names = listed([...context.state.agents.keys()].sort());
    return refused("NOT_FOUND", `There is no agent "${agentId}"; there are: ${names}`);
  }
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
