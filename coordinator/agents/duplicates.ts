import { ClusterduckError } from "../../common/errors.js";
import type { FleetAgent } from "./agent.js";
import type { AgentHello } from "./hello.js";
import type { FleetTuning } from "./tuning.js";

/**
 * Decides whether a stream may take over an id that has a live one. The same boot may (its old stream
 * broke on one side only), and a new boot on the same host (it was restarted); another host may not.
 * @throws ClusterduckError CONFLICT with what to do.
 */
export function assertMayConnect(
  hello: AgentHello,
  known: FleetAgent,
  nowMs: number,
  tuning: Pick<FleetTuning, "heartbeatsMissed">,
): void {
  const isAlive =
    known.connection !== null &&
    nowMs - known.lastHeardMs <= tuning.heartbeatsMissed * known.heartbeatIntervalMs;
  if (!isAlive || hello.bootId === known.hello.bootId) return;
  const isSameHost = hello.networkIdentity !== "" && hello.networkIdentity === known.hello.networkIdentity;
  if (isSameHost && !known.replacedBoots.has(hello.bootId)) return;
  const where = isSameHost ? "another process on the same host" : `host "${known.hello.host}"`;
  throw new ClusterduckError(
    "CONFLICT",
    `Agent id "${hello.id}" is in use by ${where} (boot ${known.hello.bootId})`,
    {
      hint: isSameHost
        ? "Stop one of the two agents"
        : "Give each agent its own id (agent: id: …) in its configuration",
    },
  );
}
