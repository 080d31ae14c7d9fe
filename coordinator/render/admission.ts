import { assertNever } from "../../common/errors.js";
import type { NodeSlice } from "./balancer-view.js";

/** What a proxy does with a node: serve it, let it run empty, or keep it listed and unused. */
export type Admission = "serve" | "drain" | "disabled";

/**
 * Decides for one node.
 * - An operator's word stands above every verdict, in panic too.
 * - Panic: everything that is not certainly dead serves, because judging most of a cluster bad says more
 *   about the judges.
 * - `unknown` holds: the node is treated as it was before, and stays out if nobody ever judged it. Losing
 *   sight of a node must not move traffic in either direction.
 * - `degraded` is alive but not for every use, so traffic goes round it.
 */
export function admissionOf(node: NodeSlice, isPanicking: boolean): Admission {
  if (node.overlay !== null) return node.overlay === "drain" ? "drain" : "disabled";
  if (node.attributes["disabled"] === true) return "disabled";
  if (isPanicking) return node.state === "down" && node.isConclusive ? "disabled" : "serve";
  switch (node.state) {
    case "healthy":
      return "serve";
    case "degraded":
    case "down":
      return "disabled";
    case "unknown":
      return node.heldState === "healthy" ? "serve" : "disabled";
    default:
      return assertNever(node.state);
  }
}
