import { ClusterduckError } from "../common/errors.js";
import { canonicalAddress } from "../common/model/address.js";
import type { NodeRef } from "../common/model/node.js";
import type { Session } from "./session.js";

/**
 * A node as people write it: `web 10.0.0.1:80`, `web/10.0.0.1:80`, or the address alone where only one
 * cluster has it.
 * @throws ClusterduckError INVALID_ARGUMENT or NOT_FOUND that says what would work.
 */
export async function resolveNode(
  session: Session,
  first: string,
  second: string | undefined,
): Promise<NodeRef> {
  if (second === undefined && !isNodeText(first)) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Invalid node ${JSON.stringify(first)}: expected CLUSTER ADDR, CLUSTER/ADDR, or ADDR alone`,
      { hint: "duckctl nodes list -o name" },
    );
  }
  const written = splitNode(first, second);
  if (written.cluster !== null) return { cluster: written.cluster, addr: written.addr };
  const { nodes } = await session.control.listNodes({ addr: written.addr }, session.call);
  const [only] = nodes;
  if (only !== undefined && nodes.length === 1) return { cluster: only.cluster, addr: only.addr };
  if (only === undefined) {
    throw new ClusterduckError("NOT_FOUND", `No node ${JSON.stringify(written.addr)} in any cluster`, {
      hint: "duckctl nodes list",
    });
  }
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Node ${JSON.stringify(written.addr)} is in several clusters: write ${nodes.map((node) => `${node.cluster}/${node.addr}`).join(" or ")}`,
  );
}

/**
 * What a list is narrowed to: nothing, a cluster, or one node. Empty parts: all.
 * @throws ClusterduckError as `resolveNode`.
 */
export async function resolveScope(
  session: Session,
  first: string | undefined,
  second: string | undefined,
): Promise<NodeRef> {
  if (first === undefined) return { cluster: "", addr: "" };
  if (second === undefined && !isNodeText(first)) return { cluster: first, addr: "" };
  return resolveNode(session, first, second);
}

/** `web/10.0.0.1:80` and `10.0.0.1:80` are nodes, `web` is a cluster. */
function isNodeText(text: string): boolean {
  return /[:/]/.test(text);
}

/** @throws ClusterduckError INVALID_ARGUMENT when the address cannot be one. */
export function splitNode(
  first: string,
  second: string | undefined,
): { cluster: string | null; addr: string } {
  if (second !== undefined) return { cluster: first, addr: canonicalAddress(second) };
  const match = /^([^/:]+)\/(.+)$/s.exec(first);
  if (match?.[1] !== undefined && match[2] !== undefined) {
    return { cluster: match[1], addr: canonicalAddress(match[2]) };
  }
  return { cluster: null, addr: canonicalAddress(first) };
}
