import { isAlias, isMap, isPair, isScalar, isSeq } from "yaml";
import type { Document, Node, Pair, YAMLMap } from "yaml";
import type { JsonValue } from "./model.js";

/* Small questions about a YAML text and the nodes of its document. */

/**
 * Assigned to a plain object this key sets its prototype and is lost, also in protobuf's maps and structs. No
 * header, attribute, label or variable needs it, so it is refused wherever it stands.
 */
export const UNUSABLE_KEY = "__proto__";

export function findPair(map: YAMLMap, key: string, document: Document): Pair | undefined {
  const own = map.items.find((pair) => keyName(pair) === key);
  if (own !== undefined) return own;
  for (const merge of map.items.filter(isMerge)) {
    const sources = isSeq(merge.value) ? merge.value.items : [merge.value];
    for (const source of sources) {
      const target = isAlias(source) ? source.resolve(document) : source;
      const found = isMap(target) ? target.items.find((pair) => keyName(pair) === key) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

export function keyName(pair: unknown): string | null {
  if (!isPair(pair)) return null;
  const { key } = pair;
  if (isMerge(pair)) return "<<";
  if (!isScalar(key) || key.value === null) return null;
  const { value } = key;
  if (typeof value === "string") return value;
  // As written: `1.10` and `0x10` stay what the user sees.
  return typeof value === "number" || typeof value === "boolean" ? (key.source ?? String(value)) : null;
}

export function isMerge(pair: Pair): boolean {
  return isScalar(pair.key) && pair.key.source === "<<" && pair.key.type === "PLAIN";
}

export function rangeOf(node: unknown): readonly [number, number] {
  const range = typeof node === "object" && node !== null && "range" in node ? (node as Node).range : null;
  return range ? [range[0], range[1]] : [0, 1];
}

export function bracketDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth = bracket === "[" || bracket === "{" ? depth + 1 : Math.max(0, depth - 1);
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** The core schema's reading of an unquoted word. */
export function plainValue(text: string): JsonValue {
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  if (/^(null|Null|NULL|~|)$/.test(text)) return null;
  if (/^[-+]?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?$/.test(text)) return Number(text);
  return text;
}

export function yamlHint(code: string, at: string): string {
  if (code === "TAB_AS_INDENT" || at.startsWith("\t")) return " (indent with spaces, not with tabs)";
  if (code === "MULTIPLE_DOCS") return " (one file holds one document: remove the --- line)";
  return "";
}

export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
