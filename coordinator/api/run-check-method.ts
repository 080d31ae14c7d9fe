import { ClusterduckError } from "../../common/errors.js";
import type { ServiceHandlers } from "../../common/grpc/service.js";
import { outcomeToWire } from "../../common/wire/observation.js";
import type { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { ControlContext } from "./context.js";
import { readNodeRef, requireCluster, requireNode } from "./lookup.js";
import { upToDate } from "./up-to-date.js";

/** Runs checks now, from this coordinator, on connections of their own; decides nothing. */
export function runCheckMethod(context: ControlContext): ServiceHandlers<typeof ControlService>["runCheck"] {
  const { replica, schedule } = context;
  return async (request) => {
    await upToDate(replica, request);
    const node = requireNode(replica.state, readNodeRef(request.node));
    const cluster = requireCluster(replica.state, node.cluster);
    const wanted = cluster.checks.filter((check) => request.check === "" || check.id === request.check);
    if (wanted.length === 0) {
      const names = cluster.checks.map((check) => check.id).join(", ");
      throw new ClusterduckError(
        "NOT_FOUND",
        request.check === ""
          ? `Cluster "${cluster.name}" has no checks`
          : `No check ${JSON.stringify(request.check)} in cluster "${cluster.name}": it has ${names === "" ? "none" : names}`,
      );
    }
    const scheduled = { node, epoch: node.epoch, clusterType: cluster.type, checks: wanted };
    const observations = await Promise.all(
      wanted.map(async (check) => {
        const observation = await schedule.runOnce(scheduled, check);
        return {
          node: { cluster: node.cluster, addr: node.addr },
          check: check.id,
          outcome: outcomeToWire(observation.outcome),
          reason: "reason" in observation ? observation.reason : "",
          detail: "detail" in observation ? observation.detail : "",
          latencyMs: observation.latencyMs,
          attributes: { ...observation.facts },
          warnings: "warnings" in observation ? [...(observation.warnings ?? [])] : [],
        };
      }),
    );
    return { observations };
  };
}
