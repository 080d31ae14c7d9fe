import type { Assignment } from "../proto/gen/clusterduck/v1/agent_pb.js";
import type { ScheduledNode } from "../checks/schedule.js";
import type { NodeKey } from "../common/model/node.js";
import { nodeKey } from "../common/model/node.js";
import { decodeNode } from "../common/wire/assignment.js";
import { fromNodeRef, fromUint64 } from "../common/wire/values.js";

/** What one coordinator wants checked. Revision 0: it has not said yet. */
export type HeldAssignment = {
  readonly revision: number;
  readonly nodes: ReadonlyMap<NodeKey, ScheduledNode>;
};
export const NO_ASSIGNMENT: HeldAssignment = { revision: 0, nodes: new Map() };

/**
 * Applies a message to what is held. Null for a difference to a revision that is not held: then the stream
 * must begin anew.
 * @throws ClusterduckError INVALID_ARGUMENT
 */
export function applyAssignment(held: HeldAssignment, wire: Assignment): HeldAssignment | null {
  const revision = fromUint64(wire.revision, "the assignment's revision");
  const base = fromUint64(wire.baseRevision, "the assignment's base revision");
  if (!wire.isFull && base !== held.revision) return null;
  const nodes = new Map(wire.isFull ? [] : held.nodes);
  for (const removed of wire.removed) nodes.delete(nodeKey(fromNodeRef(removed)));
  for (const added of wire.nodes) {
    const node = decodeNode(added);
    nodes.set(nodeKey(node.node), node);
  }
  return { revision, nodes };
}

export type CoordinatorWork = { readonly isConnected: boolean; readonly held: HeldAssignment };

/**
 * What to check, over all coordinators: every node that one of them wants; where they differ about a node
 * the newest revision counts. A coordinator that is away has no say while another one is there, else what
 * it wanted last would be checked for ever. Null: nobody has said anything yet.
 */
export function mergeAssignments(work: readonly CoordinatorWork[]): readonly ScheduledNode[] | null {
  const told = work.filter(({ held }) => held.revision > 0);
  const connected = told.filter(({ isConnected }) => isConnected);
  const counted = connected.length > 0 ? connected : told;
  if (counted.length === 0) return null;
  const byRevision = [...counted].sort((one, other) => one.held.revision - other.held.revision);
  return [...new Map(byRevision.flatMap(({ held }) => [...held.nodes])).values()];
}
