import type { JsonObject, JsonValue } from "./model.js";
import type { PathSegment } from "./problem.js";
import { TOP_LEVEL_KEYS } from "./schema.js";
import { CLUSTER_TYPES } from "./schema/cluster.js";

export type Arranged = {
  readonly data: JsonObject;
  /** Where a path of the arranged data stands in the file. */
  readonly pathInFile: (path: readonly PathSegment[]) => readonly PathSegment[];
};

/** Words that are a slip for a section, never the name of a cluster at the top level. */
const SLIPS: ReadonlySet<string> = new Set(["cluster", "balancer", "transport", "coordinators", "agents"]);

/**
 * Brings a file into the schema's form: keys without a value are as good as left out, and a cluster may
 * stand at the top level (the seed's README shows it so) where its `type` tells it from a misspelt key.
 */
export function arrange(data: JsonObject): Arranged {
  const sections: Record<string, JsonValue> = {};
  const atTop: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(data)) {
    if (isClusterAtTop(key, value)) atTop[key] = value;
    else if (value !== null) sections[key] = withoutEmpty(value, [key]);
  }
  const below = sections["clusters"] ?? {};
  // A name in both places is left at the top, where it is an unknown key, rather than decided here.
  const clashes = Object.keys(atTop).filter((key) => isObject(below) && Object.hasOwn(below, key));
  const moved = new Set(Object.keys(atTop).filter((key) => !clashes.includes(key)));
  for (const key of clashes) sections[key] = atTop[key] ?? null;
  if (moved.size > 0 && isObject(below)) {
    const clusters = Object.fromEntries(
      [...moved].map((key) => [key, withoutEmpty(atTop[key] ?? null, ["clusters", key])]),
    );
    sections["clusters"] = { ...below, ...clusters };
  }
  return {
    data: sections,
    pathInFile: (path) => (path[0] === "clusters" && moved.has(String(path[1])) ? path.slice(1) : path),
  };
}

function isClusterAtTop(key: string, value: JsonValue): boolean {
  if (TOP_LEVEL_KEYS.includes(key) || SLIPS.has(key) || !isObject(value)) return false;
  const type = value["type"];
  return typeof type === "string" && Object.hasOwn(CLUSTER_TYPES, type);
}

/** Below these, keys are names that people chose: an empty value is a mistake, not a key left out. */
const NAMED: ReadonlySet<string> = new Set([
  "clusters",
  "balancers",
  "frontends",
  "proxies",
  "exec_checks",
  "labels",
  "env",
]);

function withoutEmpty(value: JsonValue, path: readonly PathSegment[]): JsonValue {
  if (Array.isArray(value))
    return (value as readonly JsonValue[]).map((item, index) => withoutEmpty(item, [...path, index]));
  // What a check compares may well be null.
  if (!isObject(value) || path.includes("health_checks")) return value;
  const isNamed = NAMED.has(String(path.at(-1))) && !NAMED.has(String(path.at(-2)));
  const kept = Object.entries(value).filter(([, item]) => isNamed || item !== null);
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutEmpty(item, [...path, key])]));
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
