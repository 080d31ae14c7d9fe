import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from "yaml";
import type { Document, Node, YAMLMap } from "yaml";
import { messageOf } from "../errors.js";
import { CONFIG_LIMITS } from "./defaults.js";
import { belongsToShell, expandVariables } from "./expand.js";
import type { Environment } from "./expand.js";
import type { JsonValue } from "./model.js";
import { formatPath, isSecret, showValue } from "./problem.js";
import type { ConfigProblem, PathSegment } from "./problem.js";
import {
  bracketDepth,
  findPair,
  isMerge,
  keyName,
  lowerFirst,
  plainValue,
  UNUSABLE_KEY,
  rangeOf,
  yamlHint,
} from "./yaml-nodes.js";

export type ProblemDetails = {
  readonly value?: JsonValue | undefined;
  readonly allowed?: readonly string[];
  readonly suggestion?: string | null;
  /** Mark the key rather than its value. */
  readonly isAboutKey?: boolean;
};

const SYNTAX_ERRORS_MAX = 20;
/** The parser's time grows with the square of the depth. Brackets in texts count too, so this is generous. */
const BRACKET_DEPTH_MAX = 2_000;

/** A YAML text as plain data that remembers where everything stands. */
export class YamlSource {
  /** Variables expanded; undefined when the text is not YAML. */
  readonly data: JsonValue | undefined;
  readonly problems: ConfigProblem[] = [];
  readonly #text: string;
  readonly #fileName: string;
  readonly #env: Environment;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed | undefined;
  /** Values reached through aliases so far. */
  #aliasedValues = 0;
  #isAborted = false;

  constructor(text: string, fileName: string, env: Environment) {
    this.#text = text;
    this.#fileName = fileName;
    this.#env = env;
    this.#document = this.#parse();
    if (this.problems.length > 0 || this.#document === undefined) return;
    const data = this.#document.contents === null ? null : this.#read(this.#document.contents, [], 0, []);
    // Values that could not be read stand as null: judging them further would only repeat the problem.
    this.data = this.#isAborted ? undefined : data;
  }

  /** Adds a problem about what stands at `path`, or at its nearest parent that exists. Paths in `unread` are passed over. */
  report(
    path: readonly PathSegment[],
    message: string,
    details: ProblemDetails = {},
    unread: ReadonlySet<string> = new Set(),
  ): void {
    if (unread.size > 0 && unread.has(formatPath(path))) return;
    const [start, end] = this.#find(path, details.isAboutKey === true);
    this.#add(start, end, path, message, details);
  }

  #parse(): Document.Parsed | undefined {
    try {
      if (bracketDepth(this.#text) > BRACKET_DEPTH_MAX) throw new RangeError("too deep");
      const document = parseDocument(this.#text, {
        version: "1.2",
        schema: "core",
        merge: true,
        // Its own search for duplicates compares all pairs: too slow for ten thousand keys.
        uniqueKeys: false,
        prettyErrors: false,
        lineCounter: this.#lines,
        logLevel: "error",
      });
      const errors = [...document.errors, ...document.warnings];
      if (errors.some((error) => error.message.includes("call stack"))) throw new RangeError("too deep");
      // One slip leads to many errors after it: the first ones are the ones to read.
      for (const error of errors.slice(0, SYNTAX_ERRORS_MAX)) {
        const hint = yamlHint(error.code, this.#text.slice(error.pos[0], error.pos[1]));
        this.#add(error.pos[0], error.pos[1], [], `not valid YAML: ${lowerFirst(error.message)}${hint}`, {});
      }
      return document;
    } catch (thrown) {
      const why = thrown instanceof RangeError ? "it is nested too deeply" : messageOf(thrown);
      this.#add(0, 1, [], `not valid YAML: ${why}`, {});
      return undefined;
    }
  }

  #read(node: unknown, path: readonly PathSegment[], depth: number, aliases: readonly Node[]): JsonValue {
    if (this.#isAborted) return null;
    if (depth > CONFIG_LIMITS.depth)
      return this.#abort(node, path, `is nested more than ${CONFIG_LIMITS.depth} levels deep`);
    if (aliases.length > 0) {
      this.#aliasedValues += 1;
      if (this.#aliasedValues > CONFIG_LIMITS.aliasedValues) {
        return this.#abort(
          node,
          path,
          `aliases (*name) add up to more than ${CONFIG_LIMITS.aliasedValues} values`,
        );
      }
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document as Document);
      if (target === undefined)
        return this.#reject(node, path, `there is no anchor &${node.source} before this alias`);
      if (aliases.includes(target)) return this.#abort(node, path, `alias *${node.source} contains itself`);
      return this.#read(target, path, depth + 1, [...aliases, target]);
    }
    if (isMap(node)) return this.#readMap(node, path, depth, aliases);
    if (isSeq(node)) {
      return node.items.map((item, index) => this.#read(item, [...path, index], depth + 1, aliases));
    }
    if (isScalar(node)) return this.#readScalar(node, path);
    return null;
  }

  #readMap(map: YAMLMap, path: readonly PathSegment[], depth: number, aliases: readonly Node[]): JsonValue {
    const result: Record<string, JsonValue> = {};
    const merged: Record<string, JsonValue> = {};
    const firstPlaces = new Map<string, unknown>();
    for (const pair of map.items) {
      const name = keyName(pair);
      const keyPath = [...path, name ?? ""];
      if (name === null) {
        this.#reject(pair.key, path, "a key must be plain text", true);
      } else if (name === UNUSABLE_KEY) {
        this.#reject(pair.key, keyPath, `the key "${name}" is not allowed: use another name`, true);
      } else if (name === "<<" && isMerge(pair)) {
        for (const value of [this.#read(pair.value, path, depth + 1, aliases)].flat()) {
          if (typeof value === "object" && value !== null) Object.assign(merged, { ...value, ...merged });
          else this.#reject(pair.value, path, "<< needs a mapping, or a list of mappings");
        }
      } else if (firstPlaces.has(name)) {
        const [start] = rangeOf(firstPlaces.get(name));
        const first = this.#lines.linePos(start);
        this.#reject(
          pair.key,
          keyPath,
          `the key "${name}" stands here a second time: first in line ${first.line}`,
          true,
        );
      } else {
        firstPlaces.set(name, pair.key);
        result[name] = pair.value === null ? null : this.#read(pair.value, keyPath, depth + 1, aliases);
      }
    }
    return { ...merged, ...result };
  }

  #readScalar(
    node: { value: unknown; type?: string; source?: string },
    path: readonly PathSegment[],
  ): JsonValue {
    const { value } = node;
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "number") {
      if (!Number.isFinite(value)) return this.#reject(node, path, "is not a number that can be used here");
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        return this.#reject(
          node,
          path,
          `is too large for an exact number: write it in quotes if it is a text`,
        );
      }
      return value;
    }
    if (typeof value !== "string")
      return this.#reject(node, path, "is neither text, number, true, false nor null");
    if (!value.includes("$") || belongsToShell(path)) return value;
    const { text, problems } = expandVariables(value, this.#env);
    for (const problem of problems) {
      const isHidden = isSecret(path) && problem.startsWith('"');
      this.#reject(
        node,
        path,
        isHidden ? "holds a dollar sign that begins no variable: write it as $$" : problem,
      );
    }
    // What an unquoted variable brings in is read as if it had been written there.
    return node.type === "PLAIN" && text !== value ? plainValue(text) : text;
  }

  #reject(node: unknown, path: readonly PathSegment[], message: string, isAboutKey = false): null {
    const [start, end] = rangeOf(node);
    this.#add(start, end, path, message, { isAboutKey });
    return null;
  }

  #abort(node: unknown, path: readonly PathSegment[], message: string): null {
    this.#isAborted = true;
    return this.#reject(node, path.slice(0, 8), message);
  }

  #add(
    start: number,
    end: number,
    path: readonly PathSegment[],
    message: string,
    details: ProblemDetails,
  ): void {
    if (this.problems.length >= CONFIG_LIMITS.problems) return;
    // What is missing at the end is missed after the last word, not on the empty line below it.
    if (start >= this.#text.trimEnd().length) start = end = this.#text.trimEnd().length;
    const { line, col } =
      this.#lines.lineStarts.length === 0 ? { line: 1, col: 1 } : this.#lines.linePos(start);
    const lineStart = this.#lines.lineStarts[Math.max(line, 1) - 1] ?? 0;
    const lineEnd = this.#text.slice(lineStart, lineStart + 10_000).search(/\r?\n|\r|$/) + lineStart;
    const sourceLine = this.#text.slice(lineStart, lineEnd);
    const isHidden = isSecret([...path, sourceLine, details.suggestion ?? ""]);
    this.problems.push({
      file: this.#fileName,
      line: Math.max(line, 1),
      column: Math.max(col, 1),
      path: formatPath(path),
      message,
      value: details.value === undefined || isHidden ? null : showValue(details.value),
      allowed: details.allowed ?? [],
      suggestion: details.suggestion ?? null,
      sourceLine: isHidden || sourceLine.trim() === "" ? null : sourceLine,
      length: Math.max(1, Math.min(end, lineEnd) - start),
    });
  }

  /** Where `path` stands in the text: its key, or its value. */
  #find(path: readonly PathSegment[], isAboutKey: boolean): readonly [number, number] {
    let node: unknown = this.#document?.contents;
    let place: unknown = node;
    for (const [position, segment] of path.entries()) {
      if (isAlias(node)) node = node.resolve(this.#document as Document);
      const isLast = position === path.length - 1;
      const pair = isMap(node) ? findPair(node, String(segment), this.#document as Document) : undefined;
      const next = pair !== undefined ? pair.value : isSeq(node) ? node.items[Number(segment)] : undefined;
      if (next === undefined) break;
      // An empty value has no place of its own; neither has a block: its key says it better.
      const isBlock = (isMap(next) || isSeq(next)) && next.flow !== true;
      const [start, end] = rangeOf(next);
      const prefersKey = pair !== undefined && ((isLast && isAboutKey) || isBlock || end <= start);
      place = prefersKey ? pair.key : next;
      node = next;
    }
    return rangeOf(place);
  }
}
