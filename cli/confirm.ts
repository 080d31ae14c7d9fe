import { ClusterduckError } from "../common/errors.js";
import type { NodeRef } from "../common/model/node.js";
import type { Session } from "./session.js";

/**
 * Asks before more than half of a cluster's active nodes would be out of rotation. Where nobody can
 * answer it says so on standard error and goes on: scripts mean what they say.
 * @throws ClusterduckError COMMAND_FAILED when the answer is not the cluster's name.
 */
export async function confirmCapacity(
  session: Session,
  node: NodeRef,
  request: { readonly verb: string; readonly isAgreed: boolean },
): Promise<void> {
  if (request.isAgreed) return;
  const { nodes } = await session.control.listNodes({ cluster: node.cluster }, session.call);
  const isLosing = nodes.some((each) => each.addr === node.addr && each.active);
  const left = nodes.filter((each) => each.active && each.addr !== node.addr).length;
  if (!isLosing || left * 2 >= nodes.length) return;
  const stake = `This leaves ${left} of ${nodes.length} nodes of cluster "${node.cluster}" active`;
  if (session.io.ask === null) {
    session.io.err(`warning: ${stake}\n`);
    return;
  }
  const answer = await session.io.ask(`${stake}. Type the cluster's name to ${request.verb} ${node.addr}: `);
  if (answer.trim() !== node.cluster) {
    throw new ClusterduckError(
      "COMMAND_FAILED",
      `Not done: the answer was not ${JSON.stringify(node.cluster)}`,
    );
  }
}
