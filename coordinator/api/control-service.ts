import { bindService } from "../../common/grpc/service.js";
import type { BoundService, ServiceHandlers } from "../../common/grpc/service.js";
import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { configMethods } from "./config-methods.js";
import type { ControlContext } from "./context.js";
import { eventStream } from "./event-stream.js";
import { readEventType } from "./event-types.js";
import { explainMethod } from "./explain-method.js";
import {
  nodesInOrder,
  readNodeRef,
  requireBalancer,
  requireCluster,
  requireNode,
  requireTrigger,
} from "./lookup.js";
import { nodeMethods } from "./node-methods.js";
import { coordinatorMethods } from "./coordinator-methods.js";
import { askerOf, once, proposeFor } from "./propose.js";
import { upToDate } from "./up-to-date.js";
import { runCheckMethod } from "./run-check-method.js";
import { statusMethod } from "./status-method.js";
import { agentViews } from "./views/agent.js";
import { balancerViews } from "./views/balancer.js";
import { checkViews } from "./views/check.js";
import { clusterViews } from "./views/cluster.js";
import { eventView } from "./views/event.js";
import { runView, triggerViews } from "./views/run.js";

const RUNS_LIMIT = 50;
const SNAPSHOT_CHUNK_BYTES = 1024 * 1024;

/** The service behind duckctl. Reads wait until everything acknowledged before them is applied here. */
export function controlService(context: ControlContext): BoundService {
  const { replica } = context;
  const handlers: ServiceHandlers<typeof ControlService> = {
    ...nodeMethods(context),
    ...configMethods(context),
    ...coordinatorMethods(context),
    getStatus: statusMethod(context),
    explain: explainMethod(context),
    runCheck: runCheckMethod(context),

    listClusters: async (request) => {
      await upToDate(replica, request);
      return { clusters: clusterViews(replica.state) };
    },

    listChecks: async (request) => {
      await upToDate(replica, request);
      if (request.cluster !== "") requireCluster(replica.state, request.cluster);
      const nodes =
        request.addr === ""
          ? nodesInOrder(replica.state, request.cluster)
          : [requireNode(replica.state, readNodeRef(request))];
      return { checks: nodes.flatMap((node) => checkViews(node, context)) };
    },

    listTriggers: async (request) => {
      await upToDate(replica, request);
      if (request.cluster !== "") requireCluster(replica.state, request.cluster);
      const clusters = Object.values(replica.state.config.value.clusters).filter(
        (cluster) => request.cluster === "" || cluster.name === request.cluster,
      );
      return {
        triggers: triggerViews(clusters, replica.state),
      };
    },

    listRuns: async (request) => {
      await upToDate(replica, request);
      if (request.cluster !== "") requireCluster(replica.state, request.cluster);
      if (request.trigger !== "") requireTrigger(replica.state, request.cluster, request.trigger);
      const runs = [...replica.state.runs.values()].filter(
        (run) =>
          (request.cluster === "" || run.cluster === request.cluster) &&
          (request.trigger === "" || run.trigger === request.trigger),
      );
      const newest = runs.reverse().slice(0, request.limit === 0 ? RUNS_LIMIT : request.limit);
      return { runs: newest.map(runView) };
    },

    listAgents: async (request) => {
      await upToDate(replica, request);
      return { agents: agentViews(context) };
    },

    removeAgent: async (request, call) => {
      const asker = askerOf(request, call);
      const command = { type: "removeAgent", agentId: request.id } as const;
      return once(
        replica,
        { ...asker, type: command.type },
        async () => ({ index: BigInt(await proposeFor(context, asker, command)) }),
        ({ index }) => ({ index: BigInt(index) }),
      );
    },

    listBalancers: async (request) => {
      await upToDate(replica, request);
      if (request.name !== "") requireBalancer(replica.state, request.name);
      const balancers = balancerViews(context, { withConfig: request.withConfig });
      return { balancers: balancers.filter((each) => request.name === "" || each.name === request.name) };
    },

    watchEvents: async function* (request, { signal }) {
      await upToDate(replica, request);
      if (request.cluster !== "") requireCluster(replica.state, request.cluster);
      const { cluster } = request;
      const types = request.types.map(readEventType);
      const wanted = {
        sinceIndex: Number(request.sinceIndex),
        follow: request.follow,
        filter: { cluster, types },
      };
      for await (const event of eventStream(replica, wanted, signal)) yield { event: eventView(event) };
    },

    saveSnapshot: async function* (request) {
      await upToDate(replica, request);
      const data = await context.takeSnapshot();
      for (let at = 0; at < data.length; at += SNAPSHOT_CHUNK_BYTES) {
        yield { chunk: data.subarray(at, at + SNAPSHOT_CHUNK_BYTES) };
      }
    },
  };
  return bindService(ControlService, handlers, ["client"], ["getStatus"]);
}
