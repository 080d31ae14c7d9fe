import { timestampDate } from "@bufbuild/protobuf/wkt";

import type { Node } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { CliIo } from "./io.js";
import { age, formatValue, stateWord } from "./listings.js";
import { paintState } from "./output/paint.js";

/** One node for people, a fact a line. */
export function describeNode(node: Node, io: CliIo): string {
  const until =
    node.overlayUntil === undefined ? "" : ` until ${timestampDate(node.overlayUntil).toISOString()}`;
  const reason = node.overlayReason === "" ? "" : ` (${node.overlayReason})`;
  const facts: readonly (readonly [string, string])[] = [
    ["Node", `${node.cluster}/${node.addr}`],
    ["State", `${paintState(stateWord(node.state), io)} for ${age(node.since, io)}`],
    ["Cause", node.cause],
    ["Cut", node.cutIndex === 0n ? "none yet" : `index ${node.cutIndex}`],
    ["Intent", node.overlay === "" ? "serve" : `${node.overlay}${reason}${until}`],
    ["Traffic", node.active ? "yes" : "no"],
    ["Observed by", node.agent === "" ? "coordinators (no agent beside it)" : `agent ${node.agent}`],
    ["Latency", node.latencyMs === 0 ? "-" : `${node.latencyMs.toFixed(2)} ms`],
    ["Source", node.source],
    ...Object.entries(node.attributes ?? {}).map(
      ([name, value]) => [`  ${name}`, formatValue(value)] as const,
    ),
    ...node.warnings.map((warning) => ["Warning", warning] as const),
  ];
  const lines = facts.map(([name, value]) => `${`${name}:`.padEnd(14)}${value}`);
  const seen = Object.entries(node.facts).map(([name, value]) => `  ${name}: ${value}`);
  return `${[...lines, ...(seen.length > 0 ? ["Facts:", ...seen.sort()] : [])].join("\n")}\n`;
}
