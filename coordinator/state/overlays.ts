import type { NodeRef } from "../../common/model/node.js";
import type { StateView } from "./model.js";

/**
 * Nodes whose overlay has ended. Applying reads no clock, so an overlay ends by a `setOverlay` of null,
 * which the leader proposes for these; every member then ends it at the same entry.
 */
export function expiredOverlays(state: Pick<StateView, "nodes">, nowMs: number): readonly NodeRef[] {
  const expired: NodeRef[] = [];
  for (const { cluster, addr, overlay } of state.nodes.values()) {
    if (overlay !== null && overlay.untilMs !== null && overlay.untilMs <= nowMs)
      expired.push({ cluster, addr });
  }
  return expired;
}
