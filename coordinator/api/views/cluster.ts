import type { MessageInitShape } from "@bufbuild/protobuf";

import type { ClusterConfig } from "../../../common/config/model.js";
import type { ClusterSummarySchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import { isHeldActive } from "../../state/state.js";
import type { NodeRecord, StateView } from "../../state/model.js";

/** Every cluster with its nodes counted, in one pass over them. */
export function clusterViews(state: StateView): MessageInitShape<typeof ClusterSummarySchema>[] {
  const nodes = new Map<string, NodeRecord[]>();
  for (const node of state.nodes.values()) {
    const known = nodes.get(node.cluster);
    if (known === undefined) nodes.set(node.cluster, [node]);
    else known.push(node);
  }
  return Object.values(state.config.value.clusters).map((cluster) =>
    clusterView(cluster, nodes.get(cluster.name) ?? [], state),
  );
}

function clusterView(
  cluster: ClusterConfig,
  nodes: readonly NodeRecord[],
  state: StateView,
): MessageInitShape<typeof ClusterSummarySchema> {
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
    active: nodes.filter(isHeldActive).length,
    isInPanic: state.panics.has(cluster.name),
    checks: cluster.checks.length,
    triggers: cluster.triggers.length,
    balancers: balancers.filter((each) => each.clusters.includes(cluster.name)).map((each) => each.name),
  };
}
