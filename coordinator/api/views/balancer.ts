import type { MessageInitShape } from "@bufbuild/protobuf";

import type { BalancerSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import type { ControlContext } from "../context.js";

/** Every balancer of the configuration with the convergence ledger's lines for its proxies. */
export function balancerViews(
  context: ControlContext,
  options: { withConfig: boolean },
): MessageInitShape<typeof BalancerSchema>[] {
  const statuses = new Map(context.balancers.balancers().map((each) => [each.name, each]));
  return Object.values(context.replica.state.config.value.balancers).map((config) => {
    const status = statuses.get(config.name);
    return {
      name: config.name,
      type: config.type,
      clusters: [...config.clusters],
      wantedGeneration: status?.wantedGeneration ?? "",
      proxies: (status?.proxies ?? []).map((proxy) => ({ ...proxy })),
      config: options.withConfig ? (status?.config ?? "") : "",
      warnings: [...(status?.warnings ?? [])],
    };
  });
}
