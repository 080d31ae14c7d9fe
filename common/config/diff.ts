import type { ClusterConfig, JsonValue, NodeConfig, ReplicatedConfig } from "./model.js";
import { formatPath } from "./problem.js";
import type { PathSegment } from "./problem.js";

/** One difference. `path` is in the model's words: `clusters.web.nodes["10.0.0.1:80"].attributes.weight`. */
export type ConfigChange =
  | { readonly kind: "add"; readonly path: string; readonly before: null; readonly after: JsonValue }
  | { readonly kind: "remove"; readonly path: string; readonly before: JsonValue; readonly after: null }
  | { readonly kind: "change"; readonly path: string; readonly before: JsonValue; readonly after: JsonValue };

/**
 * What changes between two configurations, in a stable order: sections, then keys by name. Nodes are
 * compared by address and checks and triggers by id, so moving one in its list is no change of it.
 */
export function diffConfig(before: ReplicatedConfig, after: ReplicatedConfig): ConfigChange[] {
  const changes: ConfigChange[] = [];
  compare(keyed(before), keyed(after), [], changes);
  return changes;
}

/** Lists whose entries have a name of their own become mappings. */
function keyed(config: ReplicatedConfig): Plain {
  const clusters = Object.entries(config.clusters).map(([name, cluster]) => [name, keyedCluster(cluster)]);
  return { clusters: Object.fromEntries(clusters) as Plain, balancers: config.balancers };
}

function keyedCluster(cluster: ClusterConfig): Plain {
  const nodes = cluster.nodes.map((node: NodeConfig) => [node.addr, node]);
  const checks = cluster.checks.map((check) => [check.id, check]);
  const triggers = cluster.triggers.map((trigger) => [trigger.id, trigger]);
  return {
    ...cluster,
    nodes: Object.fromEntries(nodes) as Plain,
    checks: Object.fromEntries(checks) as Plain,
    triggers: Object.fromEntries(triggers) as Plain,
  };
}

type Plain = Readonly<Record<string, unknown>>;

function compare(
  before: unknown,
  after: unknown,
  path: readonly PathSegment[],
  changes: ConfigChange[],
): void {
  if (isPlain(before) && isPlain(after)) {
    for (const key of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort(byText)) {
      compare(own(before, key), own(after, key), [...path, key], changes);
    }
    return;
  }
  if (before === undefined && after === undefined) return;
  const place = { path: formatPath(path) };
  if (before === undefined) changes.push({ kind: "add", ...place, before: null, after: after as JsonValue });
  else if (after === undefined)
    changes.push({ kind: "remove", ...place, before: before as JsonValue, after: null });
  else if (!isSame(before, after)) {
    changes.push({ kind: "change", ...place, before: before as JsonValue, after: after as JsonValue });
  }
}

/** Equal as JSON, whatever the order of the keys: a value that went through the log may have another. */
function isSame(left: unknown, right: unknown): boolean {
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => isSame(item, right[index]));
  }
  if (isPlain(left) && isPlain(right)) {
    const keys = Object.keys(left);
    return (
      keys.length === Object.keys(right).length && keys.every((key) => isSame(left[key], own(right, key)))
    );
  }
  return left === right;
}

function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(value: Plain, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

/** By code unit, so that it is the same everywhere. */
function byText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
