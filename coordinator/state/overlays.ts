import type { NodeRef } from "../../common/model/node.js";
import type { StateView } from "./model.js";

/**
 * Nodes whose overlay has ended. Applying reads no clock, so an overlay ends by a `setOverlay` of null,
 * which the leader proposes for these; every member then ends it at the same entry.
 */
export function expiredOverlays(
  state: Pick<StateView, "nodes">,
  nowMs: number,
): readonly { readonly node: NodeRef; readonly untilMs: number }[] {
  const expired: { node: NodeRef; untilMs: number }[] = [];
  for (const { cluster, addr, overlay } of state.nodes.values()) {
    if (overlay === null || overlay.untilMs === null || overlay.untilMs > nowMs) continue;
    expired.push({ node: { cluster, addr }, untilMs: overlay.untilMs });
  }
  return expired;
}
