import type { AppliedEntry } from "../replica.js";
import type { EventType } from "../state/model.js";

const RENDERED: ReadonlySet<EventType> = new Set(["state", "nodes", "active", "overlay", "panic"]);

/** Clusters whose rendering an applied entry may have changed. */
export function clustersTouched(applied: AppliedEntry): ReadonlySet<string> | "all" {
  const { command, events } = applied;
  const clusters = new Set<string>();
  switch (command?.type) {
    case undefined:
      break;
    case "applyConfig":
      return "all";
    case "cut":
      for (const { node } of command.transitions) clusters.add(node.cluster);
      break;
    case "addNode":
    case "removeNode":
    case "setOverlay":
      clusters.add(command.node.cluster);
      break;
    case "declareNodes":
    case "removeAgent":
      // Those that left are not in the command, and attributes may have changed without an event.
      return "all";
    case "initialise":
    case "agentFound":
    case "agentLost":
    case "startRun":
    case "finishRun":
    case "recordDelivery":
    case "setMember":
    case "removeMember":
    case "setJoinSecret":
    case "addJoinToken":
    case "revokeJoinToken":
    case "closeRequest":
    case "raiseFeatureLevel":
      break;
  }
  // Overlays also end by time, at whatever entry comes next.
  for (const event of events) {
    if (event.type === "config") return "all";
    if (RENDERED.has(event.type)) clusters.add(event.cluster);
  }
  return clusters;
}
