import type { MessageInitShape } from "@bufbuild/protobuf";

import type { ClusterConfig } from "../../../common/config/model.js";
import type { ClusterSummarySchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import { isActive } from "../../state/model.js";
import type { StateView } from "../../state/model.js";

/** A cluster's nodes, counted. */
export function clusterView(
  cluster: ClusterConfig,
  state: StateView,
): MessageInitShape<typeof ClusterSummarySchema> {
  const nodes = [...state.nodes.values()].filter((node) => node.cluster === cluster.name);
  const count = (wanted: string): number => nodes.filter((node) => node.state === wanted).length;
  const balancers = Object.values(state.config.value.balancers);
  return {
    name: cluster.name,
    type: cluster.type,
    nodes: nodes.length,
    healthy: count("healthy"),
    degraded: count("degraded"),
    down: count("down"),
    unknown: count("unknown"),
    active: nodes.filter(isActive).length,
    isInPanic: state.panics.has(cluster.name),
    checks: cluster.checks.length,
    triggers: cluster.triggers.length,
    balancers: balancers.filter((each) => each.clusters.includes(cluster.name)).map((each) => each.name),
  };
}
