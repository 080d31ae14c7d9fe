import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import type { AgentSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import type { AgentRecord } from "../../state/model.js";
import type { ControlContext } from "../context.js";

/** An agent: what is committed of it, and how this coordinator hears it now. */
export function agentView(agent: AgentRecord, context: ControlContext): MessageInitShape<typeof AgentSchema> {
  const session = context.fleet.sessions().find((each) => each.id === agent.id);
  const nodes = [...context.replica.state.nodes.values()];
  return {
    id: agent.id,
    host: agent.host,
    zone: agent.zone,
    labels: { ...agent.labels },
    version: agent.version,
    state: agent.state,
    since: timestampFromMs(agent.sinceMs),
    nodes: nodes.filter((node) => context.fleet.agentBeside(node) === agent.id).length,
    selfDoubt: session?.selfDoubt.level ?? 0,
    selfDoubtCause: session?.selfDoubt.cause ?? "",
    proxies: [...agent.proxies],
    heartbeatAgeMs: session === undefined ? 0 : context.clock.monotonicMs() - session.lastHeartbeatMs,
  };
}
