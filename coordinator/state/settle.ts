import type { ClusterChange, Context } from "./context.js";
import { overlayNode } from "./nodes.js";
import {
  activeAddrs,
  clusterConfig,
  clusterNodes,
  heldStateOf,
  isHeldActive,
  listed,
  sparesMissing,
} from "./state.js";
import { createRuns } from "./triggers.js";
import type { Firing } from "./triggers.js";

/** What follows from an entry's changes: spares step in, panic begins or ends, events and runs appear. */
export function settle(context: Context, newClusters: ReadonlySet<string>): void {
  const firings: Firing[] = [];
  for (const [cluster, change] of context.changes()) {
    activateSpares(context, cluster);
    for (const node of context.transitions) {
      // Not knowing is no reason to act.
      if (node.cluster === cluster && node.to !== "unknown") firings.push({ type: "state", cluster, node });
    }
    // A cluster that has just been configured has not changed, and nothing is known of its nodes yet:
    // its triggers wait for the first verdicts.
    if (announceNodes(context, cluster, change) && !newClusters.has(cluster)) {
      firings.push({ type: "nodes", cluster });
    }
    if (announceActive(context, cluster, change)) firings.push({ type: "active", cluster });
    announceSpares(context, cluster, change);
    updatePanic(context, cluster);
  }
  createRuns(context, firings);
}

/**
 * Fills a deficit of active nodes from the healthy spares. Nodes that nobody has judged yet count as
 * active: at the first start the spares' verdicts may come first.
 */
function activateSpares(context: Context, cluster: string): void {
  const minActive = clusterConfig(context.state, cluster)?.minActiveNodes ?? 0;
  if (minActive === 0) return;
  const nodes = clusterNodes(context.state, cluster);
  const active = nodes.filter(isHeldActive).length;
  const unjudged = nodes.filter(
    (node) => node.overlay === null && node.cutIndex === 0 && node.state === "unknown",
  );
  const deficit = minActive - active - unjudged.length;
  const spares = nodes
    .filter((node) => node.overlay?.kind === "spare" && node.state === "healthy")
    .sort((a, b) => (a.addr < b.addr ? -1 : 1))
    .slice(0, Math.max(0, deficit));
  for (const spare of spares) {
    overlayNode(context, spare, null, `${active} active, at least ${minActive} wanted`);
  }
}

function announceNodes(context: Context, cluster: string, change: ClusterChange): boolean {
  const added = [...change.added].sort();
  const removed = [...change.removed].sort();
  const changed = [...change.changed].sort();
  const parts = [
    added.length > 0 ? `added ${listed(added)}` : "",
    removed.length > 0 ? `removed ${listed(removed)}` : "",
    changed.length > 0 ? `changed ${listed(changed)}` : "",
  ].filter((part) => part !== "");
  if (parts.length === 0) return false;
  const data = { added, removed, changed, by: context.by };
  context.emit({ type: "nodes", cluster, message: parts.join("; "), data });
  return true;
}

function announceActive(context: Context, cluster: string, change: ClusterChange): boolean {
  const before = new Set(change.activeBefore);
  const active = activeAddrs(context.state, cluster);
  const after = new Set(active);
  const joined = active.filter((addr) => !before.has(addr));
  const left = change.activeBefore.filter((addr) => !after.has(addr));
  if (joined.length === 0 && left.length === 0) return false;
  const parts = [
    joined.length > 0 ? `in: ${listed(joined)}` : "",
    left.length > 0 ? `out: ${listed(left)}` : "",
  ].filter((part) => part !== "");
  const message = `${active.length} active; ${parts.join("; ")}`;
  context.emit({ type: "active", cluster, message, data: { active, joined, left } });
  return true;
}

/** The reserve says so when it is short, and when it is full again. */
function announceSpares(context: Context, cluster: string, change: ClusterChange): void {
  const missing = sparesMissing(context.state, cluster);
  if (missing === change.sparesMissingBefore) return;
  const wanted = clusterConfig(context.state, cluster)?.minSpareNodes ?? 0;
  const message =
    missing === 0
      ? `The reserve is full again: at least ${wanted} spares`
      : `The reserve is short: ${wanted - missing} spares, at least ${wanted} wanted`;
  context.emit({ type: "spares", cluster, message, data: { missing, wanted } });
}

/** Panic looks at what is committed only: nodes that no operator has taken out, and at least two of them. */
function updatePanic(context: Context, cluster: string): void {
  const { panics } = context.state;
  const config = clusterConfig(context.state, cluster);
  const nodes = clusterNodes(context.state, cluster).filter((node) => node.overlay === null);
  const bad = nodes.filter((node) => heldStateOf(node) === "down").length;
  const isPanic =
    config !== undefined && nodes.length >= 2 && bad > config.policy.panicThreshold * nodes.length;
  if (isPanic === panics.has(cluster)) return;
  if (isPanic) panics.set(cluster, { sinceMs: context.atMs, index: context.index });
  else panics.delete(cluster);
  const message = isPanic
    ? `Panic: ${bad} of ${nodes.length} nodes are down; all that are not certainly dead get traffic`
    : config === undefined
      ? "Panic ends: the cluster is no longer configured"
      : `Panic ends: ${bad} of ${nodes.length} nodes are down`;
  context.emit({ type: "panic", cluster, message, data: { isPanic, bad, total: nodes.length } });
}
