import { isDeepStrictEqual } from "node:util";

/**
 * Asks one thing of a JSON document: `[path, operator, value]`. A path is names joined by dots, with
 * numbers in brackets for lists (`data.items[0].id`, `["a.b"].c` for names with dots), and `""` or `$`
 * for the document itself. Only what the document itself holds is reached, never what JavaScript adds.
 */
export type JsonMatcher = {
  readonly path: string;
  readonly segments: readonly (string | number)[];
  readonly operator: JsonOperator;
  readonly expected: unknown;
  readonly pattern: RegExp | null;
};

export const JSON_OPERATORS = [
  "eq",
  "ne",
  "exists",
  "gt",
  "gte",
  "lt",
  "lte",
  "matches",
  "contains",
] as const;
export type JsonOperator = (typeof JSON_OPERATORS)[number];

/** A path that names nothing. Not `undefined`, so that the caller cannot mistake a value for it. */
const ABSENT = Symbol("absent");

const SEGMENT = /^(?:\.?([^.[\]"]+)|\[(\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\])/;

/** The parts of a path, or null when it cannot be read. */
export function parseJsonPath(path: string): readonly (string | number)[] | null {
  let rest = path === "$" ? "" : path.replace(/^\$(?=[.[])/, "");
  if (rest.startsWith(".") && !path.startsWith("$")) return null;
  const segments: (string | number)[] = [];
  while (rest !== "") {
    const match = SEGMENT.exec(rest);
    if (match === null) return null;
    const [whole, name, index, quoted] = match;
    // A name after another one needs its dot; only the first may stand bare.
    if (name !== undefined && !whole.startsWith(".") && segments.length > 0) return null;
    if (quoted !== undefined) segments.push(unquote(quoted));
    else segments.push(index === undefined ? (name ?? "") : Number(index));
    rest = rest.slice(whole.length);
  }
  return segments;
}

function unquote(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted.slice(1, -1);
  }
}

/**
 * Prepares `[path, operator, value]`. `exists` needs no value; `exists: false` asks for absence.
 * @throws Error that says what would work.
 */
export function compileJsonMatcher(triple: readonly unknown[]): JsonMatcher {
  const [path, operator, expected] = triple;
  if (typeof path !== "string" || triple.length > 3) {
    throw new Error('is not a match: use [path, operator, value], such as ["data.state", eq, "ready"]');
  }
  const segments = parseJsonPath(path);
  if (segments === null) {
    throw new Error(
      `has the unreadable path ${JSON.stringify(path)}: use names and [numbers], such as data.items[0].id`,
    );
  }
  if (!isOperator(operator)) {
    throw new Error(
      `has the unknown operator ${JSON.stringify(operator)}: use one of ${JSON_OPERATORS.join(", ")}`,
    );
  }
  const problem = problemOf(operator, expected, triple.length === 3);
  if (problem !== null) throw new Error(problem);
  const pattern = operator === "matches" ? new RegExp(expected as string) : null;
  return {
    path,
    segments,
    operator,
    expected: operator === "exists" ? expected !== false : expected,
    pattern,
  };
}

function isOperator(value: unknown): value is JsonOperator {
  return JSON_OPERATORS.some((known) => known === value);
}

function problemOf(operator: JsonOperator, expected: unknown, hasValue: boolean): string | null {
  if (operator === "exists") {
    return !hasValue || typeof expected === "boolean"
      ? null
      : "has exists with a value: leave it out, or use true or false";
  }
  if (!hasValue) return `has ${operator} without a value: use [path, ${operator}, value]`;
  if (operator === "matches") {
    if (typeof expected !== "string")
      return "has matches with no text: give a regular expression in JavaScript's syntax";
    try {
      new RegExp(expected);
    } catch (thrown) {
      return `has matches with an unusable regular expression: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    }
  }
  const isOrder = operator === "gt" || operator === "gte" || operator === "lt" || operator === "lte";
  if (isOrder && typeof expected !== "number")
    return `has ${operator} with ${JSON.stringify(expected)}: give a number`;
  return null;
}

/** Why the document does not match, for people; null when it does. */
export function jsonMismatch(document: unknown, matcher: JsonMatcher): string | null {
  const actual = valueAt(document, matcher.segments);
  if (isMatch(actual, matcher)) return null;
  const place = matcher.path === "" ? "the document" : matcher.path;
  if (matcher.operator === "exists") {
    return matcher.expected === true
      ? `${place} is absent`
      : `${place} is ${brief(actual)}, expected it absent`;
  }
  const found = actual === ABSENT ? "absent" : brief(actual);
  return `${place} is ${found}, expected ${matcher.operator} ${brief(matcher.expected)}`;
}

function isMatch(actual: unknown, { operator, expected, pattern }: JsonMatcher): boolean {
  if (operator === "exists") return (actual !== ABSENT) === expected;
  // Absence is not a value that differs: `ne` too asks for something to compare.
  if (actual === ABSENT) return false;
  switch (operator) {
    case "eq":
      return isDeepStrictEqual(actual, expected);
    case "ne":
      return !isDeepStrictEqual(actual, expected);
    case "gt":
      return typeof actual === "number" && actual > (expected as number);
    case "gte":
      return typeof actual === "number" && actual >= (expected as number);
    case "lt":
      return typeof actual === "number" && actual < (expected as number);
    case "lte":
      return typeof actual === "number" && actual <= (expected as number);
    case "matches":
      return isScalar(actual) && pattern !== null && pattern.test(String(actual));
    case "contains":
      return contains(actual, expected);
  }
}

/** Text holds text, a list holds an equal element, an object holds a key. */
function contains(actual: unknown, expected: unknown): boolean {
  if (typeof actual === "string") return actual.includes(String(expected));
  if (Array.isArray(actual)) return actual.some((element) => isDeepStrictEqual(element, expected));
  return (
    typeof actual === "object" &&
    actual !== null &&
    typeof expected === "string" &&
    Object.hasOwn(actual, expected)
  );
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function valueAt(document: unknown, segments: readonly (string | number)[]): unknown {
  let value = document;
  for (const segment of segments) {
    if (typeof value !== "object" || value === null) return ABSENT;
    const isReachable = typeof segment === "string" ? !Array.isArray(value) : Array.isArray(value);
    if (!isReachable || !Object.hasOwn(value, segment)) return ABSENT;
    value = (value as Record<string | number, unknown>)[segment];
  }
  return value;
}

/** At most 80 characters of a value: it may come from anywhere and ends up in messages. */
function brief(value: unknown): string {
  const text = typeof value === "symbol" ? "absent" : (JSON.stringify(value) ?? "undefined");
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
