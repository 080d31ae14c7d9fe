import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import { nodeStateToWire } from "../../../common/wire/ballot.js";
import type { NodeSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import { isHeldActive } from "../../state/state.js";
import type { NodeRecord } from "../../state/model.js";
import type { ControlContext } from "../context.js";

/** One node as tools see it: what is committed, and what was last seen of it. */
export function nodeView(node: NodeRecord, context: ControlContext): MessageInitShape<typeof NodeSchema> {
  const evidence = context.knowledge.evidenceOf(node);
  const latencies = evidence.filter((each) => each.outcome === "passed").map((each) => each.latencyMs);
  return {
    cluster: node.cluster,
    addr: node.addr,
    state: nodeStateToWire(node.state),
    cause: node.cause,
    since: timestampFromMs(node.sinceMs),
    cutIndex: BigInt(node.cutIndex),
    active: isHeldActive(node),
    overlay: node.overlay?.kind ?? "",
    overlayReason: node.overlay?.reason ?? "",
    ...(node.overlay?.untilMs == null ? {} : { overlayUntil: timestampFromMs(node.overlay.untilMs) }),
    source: node.source,
    attributes: { ...node.attributes },
    facts: { ...context.knowledge.factsOf(node) },
    warnings: [...context.knowledge.warningsOf(node)],
    latencyMs: latencies.length === 0 ? 0 : Math.min(...latencies),
    agent: context.fleet.agentBeside(node) ?? "",
  };
}
