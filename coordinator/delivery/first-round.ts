import type { NodeRecord, StateView } from "../state/model.js";

/** How long a cluster waits for nodes nobody has judged yet, once others have been. Milliseconds. */
export const FIRST_ROUND_GRACE_MS = 10_000;

/**
 * Whether enough is known of a cluster to tell a proxy. A control plane that has just started knows nothing
 * of nodes, and "nothing" rendered as "unused" is the classic outage. So every node needs a verdict (a cut,
 * or an operator's word); after a grace it is enough that somebody was judged at all, so that one silent
 * node does not hold up the others for ever. Pure.
 */
export function hasFirstRound(state: StateView, cluster: string, waitedMs: number): boolean {
  let judged = 0;
  let open = 0;
  for (const node of state.nodes.values()) {
    if (node.cluster !== cluster) continue;
    if (isJudged(node)) judged++;
    else open++;
  }
  if (open === 0 || hasNoChecks(state, cluster)) return true;
  return waitedMs >= FIRST_ROUND_GRACE_MS && judged > 0;
}

function isJudged(node: NodeRecord): boolean {
  return node.cutIndex > 0 || node.overlay !== null || node.state !== "unknown";
}

/** Nobody will ever judge these nodes, so there is nothing to wait for. */
function hasNoChecks(state: StateView, cluster: string): boolean {
  const { clusters } = state.config.value;
  return Object.hasOwn(clusters, cluster) && clusters[cluster]?.checks.length === 0;
}
