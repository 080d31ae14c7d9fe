import type { ServiceHandlers } from "../../common/grpc/service.js";
import type { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { ControlContext } from "./context.js";
import { problemsOf } from "./problems.js";
import { agentViews } from "./views/agent.js";
import { balancerViews } from "./views/balancer.js";
import { clusterViews } from "./views/cluster.js";
import { coordinatorViews } from "./views/coordinator.js";

/** Everything at a glance. Answers without a leader too: that is when people ask. */
export function statusMethod(context: ControlContext): ServiceHandlers<typeof ControlService>["getStatus"] {
  return async () => {
    const { replica, log, coordinatorId } = context;
    const { state } = replica;
    const { leaderId, term } = log.leadership();
    return {
      clusterId: state.clusterId,
      coordinatorId,
      version: context.version,
      leaderId: leaderId ?? "",
      term: BigInt(term),
      commitIndex: BigInt(log.status().commitIndex),
      appliedIndex: BigInt(state.index),
      configRevision: BigInt(state.config.revision),
      clusters: clusterViews(state),
      agents: agentViews(context),
      balancers: balancerViews(context, { withConfig: false }),
      problems: problemsOf(context),
      uptimeSeconds: (context.clock.monotonicMs() - context.startedAtMs) / 1000,
      coordinators: coordinatorViews(context),
      featureLevel: state.featureLevel.level,
    };
  };
}
