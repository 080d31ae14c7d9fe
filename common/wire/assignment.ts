import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AssignedCheck,
  AssignedNode,
  AssignedNodeSchema,
} from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { CheckConfig, CheckType, ClusterType } from "../config/model.js";
import type { ScheduledNode } from "../model/assignment.js";
import { fromDuration, fromName, fromNodeRef, fromUint64, invalid, toUint64 } from "./values.js";

type NodeInit = MessageInitShape<typeof AssignedNodeSchema>;
type Options = NonNullable<AssignedCheck["options"]>;

export function encodeNode(scheduled: ScheduledNode): NodeInit {
  return {
    node: scheduled.node,
    epoch: toUint64(scheduled.epoch),
    clusterType: scheduled.clusterType,
    checks: scheduled.checks.map((check) => ({
      id: check.id,
      type: check.type,
      // Read-only here, plain JSON there: the encoder changes nothing.
      options: check.options as Options,
      everyMs: check.everyMs,
      failingEveryMs: check.failingEveryMs ?? 0,
      timeoutMs: check.timeoutMs,
      fall: check.fall,
      rise: check.rise,
    })),
  };
}

/**
 * A node with its checks as they arrived. Types that only a newer program knows pass through: whoever
 * makes the check says that it cannot.
 * @throws ClusterduckError INVALID_ARGUMENT for what no coordinator of ours sends.
 */
export function decodeNode(wire: AssignedNode | undefined): ScheduledNode {
  if (wire === undefined) throw invalid("a node is missing");
  return {
    node: fromNodeRef(wire.node),
    epoch: fromUint64(wire.epoch, "a node's epoch"),
    clusterType: fromName(wire.clusterType, "a node's cluster type") as ClusterType,
    checks: wire.checks.map(decodeCheck),
  };
}

function decodeCheck(wire: AssignedCheck): CheckConfig {
  const id = fromName(wire.id, "a check's id");
  return {
    id,
    type: fromName(wire.type, `the type of check "${id}"`) as CheckType,
    options: wire.options ?? {},
    everyMs: fromPeriod(wire.everyMs, `every of check "${id}"`),
    ...(wire.failingEveryMs === 0
      ? {}
      : { failingEveryMs: fromPeriod(wire.failingEveryMs, `failing_every of check "${id}"`) }),
    timeoutMs: fromPeriod(wire.timeoutMs, `timeout of check "${id}"`),
    fall: fromCount(wire.fall, `fall of check "${id}"`),
    rise: fromCount(wire.rise, `rise of check "${id}"`),
  };
}

function fromPeriod(value: number, what: string): number {
  if (fromDuration(value, what) > 0) return value;
  throw invalid(`${what} is 0 ms, expected more`);
}

function fromCount(value: number, what: string): number {
  if (value >= 1) return value;
  throw invalid(`${what} is ${value}, expected at least 1`);
}
