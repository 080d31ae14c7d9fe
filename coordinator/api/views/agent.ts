import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import type { AgentSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import type { AgentSession } from "../../agents/fleet.js";
import type { AgentRecord } from "../../state/model.js";
import type { ControlContext } from "../context.js";

/** Every agent: what is committed of it, and how this coordinator hears it now. */
export function agentViews(context: ControlContext): MessageInitShape<typeof AgentSchema>[] {
  const { replica, fleet } = context;
  const sessions = new Map(fleet.sessions().map((session) => [session.id, session]));
  const nodes = new Map<string, number>();
  for (const node of replica.state.nodes.values()) {
    const agent = fleet.agentBeside(node);
    if (agent !== null) nodes.set(agent, (nodes.get(agent) ?? 0) + 1);
  }
  return [...replica.state.agents.values()].map((agent) =>
    agentView(agent, { session: sessions.get(agent.id), nodes: nodes.get(agent.id) ?? 0 }, context),
  );
}

function agentView(
  agent: AgentRecord,
  { session, nodes }: { readonly session: AgentSession | undefined; readonly nodes: number },
  { clock }: ControlContext,
): MessageInitShape<typeof AgentSchema> {
  return {
    id: agent.id,
    host: agent.host,
    zone: agent.zone,
    labels: { ...agent.labels },
    version: agent.version,
    state: agent.state,
    since: timestampFromMs(agent.sinceMs),
    nodes,
    selfDoubt: session?.selfDoubt.level ?? 0,
    selfDoubtCause: session?.selfDoubt.cause ?? "",
    proxies: [...agent.proxies],
    heartbeatAgeMs: session === undefined ? 0 : clock.monotonicMs() - session.lastHeartbeatMs,
  };
}
