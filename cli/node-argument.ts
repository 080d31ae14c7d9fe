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
  const written = splitNode(first, second);
  if (written.cluster !== null) return { cluster: written.cluster, addr: written.addr };
  const { nodes } = await session.control.listNodes({}, session.call);
  const found = nodes.filter((node) => node.addr === written.addr);
  const [only] = found;
  if (only !== undefined && found.length === 1) return { cluster: only.cluster, addr: only.addr };
  if (found.length === 0) {
    throw new ClusterduckError("NOT_FOUND", `No node ${JSON.stringify(written.addr)} in any cluster`, {
      hint: "duckctl nodes list",
    });
  }
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Node ${JSON.stringify(written.addr)} is in several clusters: write ${found.map((node) => `${node.cluster}/${node.addr}`).join(" or ")}`,
  );
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
