import type { MessageInitShape } from "@bufbuild/protobuf";

import type { CheckConfig } from "../../../common/config/model.js";
import { evidenceToWire } from "../../../common/wire/ballot.js";
import type { CheckStatusSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import type { NodeRecord } from "../../state/model.js";
import type { ControlContext } from "../context.js";

/** Every check of a node, as each observer saw it last. */
export function checkViews(
  node: NodeRecord,
  context: ControlContext,
): MessageInitShape<typeof CheckStatusSchema>[] {
  const checks: readonly CheckConfig[] =
    context.replica.state.config.value.clusters[node.cluster]?.checks ?? [];
  const evidence = context.knowledge.evidenceOf(node);
  return checks.map((check) => ({
    cluster: node.cluster,
    addr: node.addr,
    check: check.id,
    type: check.type,
    everyMs: check.everyMs,
    timeoutMs: check.timeoutMs,
    fall: check.fall,
    rise: check.rise,
    observers: evidence.filter((each) => each.check === check.id).map(evidenceToWire),
  }));
}
