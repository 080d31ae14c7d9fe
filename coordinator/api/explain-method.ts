import type { ServiceHandlers } from "../../common/grpc/service.js";
import { ballotToWire } from "../../common/wire/ballot.js";
import type { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { NodeRecord, StateView } from "../state/model.js";
import type { ControlContext } from "./context.js";
import { readNodeRef, requireNode } from "./lookup.js";
import { balancerViews } from "./views/balancer.js";
import { checkViews } from "./views/check.js";
import { cutView } from "./views/event.js";
import { nodeView } from "./views/node.js";
import { runView } from "./views/run.js";
import { upToDate } from "./up-to-date.js";

const CUTS_SHOWN = 10;
const RUNS_SHOWN = 10;

/** Why a node is in the state it is in: evidence, rule, cut, and what followed from it. */
export function explainMethod(context: ControlContext): ServiceHandlers<typeof ControlService>["explain"] {
  const { replica, knowledge } = context;
  return async (request) => {
    await upToDate(replica, request);
    const { state } = replica;
    const node = requireNode(state, readNodeRef(request.node));
    const ballot = knowledge.ballotOf(node);
    const served = Object.values(state.config.value.balancers)
      .filter((balancer) => balancer.clusters.includes(node.cluster))
      .map((balancer) => balancer.name);
    return {
      node: nodeView(node, context),
      ...(ballot === null ? {} : { current: ballotToWire(ballot) }),
      hold: knowledge.holdOf(node),
      cuts: cutsOf(node, state).map(cutView),
      checks: checkViews(node, context),
      runs: [...state.runs.values()]
        .filter(
          (run) => node.cutIndex > 0 && run.eventIndex === node.cutIndex && run.cluster === node.cluster,
        )
        .slice(0, RUNS_SHOWN)
        .map(runView),
      balancers: balancerViews(context, { withConfig: false }).filter((each) =>
        served.includes(each.name ?? ""),
      ),
      rules: rulesOf(node, state),
    };
  };
}

/** Cuts that changed this very node (not an earlier one of the same address), newest first, cut down to it. */
function cutsOf(node: NodeRecord, state: StateView): StateView["cuts"] {
  return state.cuts
    .filter((cut) => cut.index > node.epoch)
    .map((cut) => ({
      ...cut,
      transitions: cut.transitions.filter(
        (each) => each.node.cluster === node.cluster && each.node.addr === node.addr,
      ),
    }))
    .filter((cut) => cut.transitions.length > 0)
    .slice(-CUTS_SHOWN)
    .reverse();
}

function rulesOf(node: NodeRecord, state: StateView): string[] {
  const cluster = state.config.value.clusters[node.cluster];
  if (cluster === undefined) return [];
  const { policy, checks } = cluster;
  return [
    ...checks.map(
      (check) =>
        `Check ${check.id}: every ${check.everyMs} ms, timeout ${check.timeoutMs} ms; ` +
        `${check.fall} failures in a row count, ${check.rise} passes in a row bring it back`,
    ),
    `Quorum of coordinators: ${policy.quorum}`,
    `Timeouts may remove at most ${Math.round(policy.removalBudget * 100)} % of the cluster; proven deaths are exempt`,
    `Panic when over ${Math.round(policy.panicThreshold * 100)} % of the cluster are bad`,
    `Damping of returns: ${policy.isDampingEnabled ? "on" : "off"}`,
  ];
}
