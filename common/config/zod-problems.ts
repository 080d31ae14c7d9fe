import type { z } from "zod";
import type { JsonValue } from "./model.js";
import { isSecret } from "./problem.js";
import type { PathSegment } from "./problem.js";
import { nearest } from "./suggest.js";
import type { ProblemDetails } from "./yaml-source.js";

/*
 * Zod's issues in our words. Zod leaves out of an issue what the schema would have allowed, so the error
 * map notes it in the message; a message without the mark was written by the schema itself and stands.
 */

type Issue = z.core.$ZodIssue;
type Report = (path: readonly PathSegment[], message: string, details?: ProblemDetails) => void;

const MARK = "\u0000";

/** Give this to `safeParse` as `error`. */
export function noteAllowed(issue: z.core.$ZodRawIssue): string {
  return MARK + JSON.stringify(allowedBy(issue));
}

function allowedBy(issue: z.core.$ZodRawIssue): string[] {
  const definition = (issue.inst as { _zod?: { def?: Definition } } | undefined)?._zod?.def;
  if (issue.code === "unrecognized_keys") return Object.keys(definition?.shape ?? {});
  if (issue.code !== "invalid_union" || definition?.discriminator === undefined) return [];
  const key = definition.discriminator;
  return (definition.options ?? []).flatMap((option) =>
    [...(option._zod.propValues?.[key] ?? [])].map(String),
  );
}

type Definition = {
  readonly shape?: Readonly<Record<string, unknown>>;
  readonly discriminator?: string;
  readonly options?: readonly {
    readonly _zod: { readonly propValues?: Readonly<Record<string, Set<unknown>>> };
  }[];
};

/** Reports every issue of a parse. `data` is what was parsed. */
export function reportIssues(issues: readonly Issue[], data: JsonValue, report: Report): void {
  for (const issue of issues) reportIssue(issue, issue.path as PathSegment[], data, report);
}

function reportIssue(issue: Issue, path: readonly PathSegment[], data: JsonValue, report: Report): void {
  const value = shownAt(data, path);
  const own = issue.message.startsWith(MARK) ? null : issue.message;
  const allowed = own === null ? (JSON.parse(issue.message.slice(1)) as string[]) : [];
  switch (issue.code) {
    case "unrecognized_keys":
      for (const key of issue.keys) {
        report([...path, key], own ?? `unknown key ${show(key)}`, {
          allowed,
          suggestion: nearest(
            key,
            allowed.filter((candidate) => !has(value, candidate)),
          ),
          isAboutKey: true,
        });
      }
      return;
    case "invalid_union":
      reportUnion(issue, path, data, { own, allowed }, report);
      return;
    case "invalid_key": {
      const [inner] = issue.issues;
      report(
        path,
        inner === undefined || inner.message.startsWith(MARK)
          ? "is not a name that can be used here"
          : inner.message,
        {
          isAboutKey: true,
        },
      );
      return;
    }
    case "invalid_value": {
      const values = issue.values.map(String);
      if (value === undefined) report(path, "is missing", { allowed: values });
      else
        report(path, own ?? `${show(value)} is not one of the values`, {
          value,
          allowed: values,
          suggestion: nearestTo(value, values),
        });
      return;
    }
    default:
      report(path, own ?? describe(issue, value), { value });
  }
}

function reportUnion(
  issue: z.core.$ZodIssueInvalidUnion,
  path: readonly PathSegment[],
  data: JsonValue,
  words: { readonly own: string | null; readonly allowed: readonly string[] },
  report: Report,
): void {
  const value = shownAt(data, path);
  if (issue.errors.length === 0) {
    if (typeof value !== "string")
      return report(
        path,
        value === undefined ? "is missing" : (words.own ?? `${show(value)} is not one of the values`),
        { value, allowed: words.allowed },
      );
    return report(path, words.own ?? `${show(value)} is not one of the values`, {
      value,
      allowed: words.allowed,
      suggestion: nearest(value, words.allowed),
    });
  }
  // The form that was meant is the one whose outside fits; what is wrong inside is then the problem.
  const fitting = issue.errors.filter((branch) => !branch.some(isOutsideMismatch));
  const fewest = Math.min(...fitting.map((branch) => branch.length));
  const [meant, rival] = fitting.filter((branch) => branch.length === fewest);
  if (meant !== undefined && rival === undefined) {
    for (const inner of meant) reportIssue(inner, [...path, ...(inner.path as PathSegment[])], data, report);
    return;
  }
  if (words.own !== null)
    return report(path, value === undefined ? `is missing: ${words.own}` : words.own, { value });
  const expected = new Set(expectations({ ...issue, path: [] }));
  const list = [...expected].join(", or ");
  report(
    path,
    value === undefined ? `is missing: expected ${list}` : `expected ${list}, found ${kindOf(value)}`,
    { value },
  );
}

/** The value is of another kind altogether: a text where a list was asked for. */
function isMismatch(issue: Issue): boolean {
  if (issue.code !== "invalid_union") return issue.code === "invalid_type" || issue.code === "invalid_value";
  return issue.errors.length > 0 && issue.errors.every((branch) => branch.some(isOutsideMismatch));
}

function isOutsideMismatch(issue: Issue): boolean {
  return issue.path.length === 0 && isMismatch(issue);
}

function expectations(issue: Issue | undefined): string[] {
  if (issue === undefined) return [];
  if (issue.path.length > 0 || issue.code === "unrecognized_keys") return ["a mapping of another form"];
  if (issue.code === "invalid_union") return issue.errors.flatMap(([first]) => expectations(first));
  if (issue.code === "invalid_type") return [typeName(issue.expected)];
  if (issue.code === "invalid_value")
    return [issue.values.map((value) => show(value as JsonValue)).join(", ")];
  return [issue.message.startsWith(MARK) ? "another form" : `a value that fits (${issue.message})`];
}

function describe(issue: Issue, value: JsonValue | undefined): string {
  switch (issue.code) {
    case "invalid_type": {
      if (value === undefined) return `is missing: expected ${typeName(issue.expected)}`;
      const quotes =
        issue.expected === "string" && typeof value !== "object"
          ? value === HIDDEN
            ? "; write it in quotes"
            : `; write it in quotes: "${String(value)}"`
          : "";
      return `expected ${typeName(issue.expected)}, found ${kindOf(value)}${quotes}`;
    }
    case "too_small":
      return `${measured(issue.origin, value)} must be at least ${String(issue.minimum)}`;
    case "too_big":
      return `${measured(issue.origin, value)} must be at most ${String(issue.maximum)}`;
    case "invalid_format":
      return `${show(value)} does not have the form that is needed`;
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    default:
      return `${show(value)} cannot be used here`;
  }
}

function measured(origin: string, value: JsonValue | undefined): string {
  if (origin === "string" && typeof value === "string") return `has ${value.length} characters,`;
  if (Array.isArray(value)) return `has ${value.length} entries,`;
  return `is ${show(value)},`;
}

function typeName(expected: string): string {
  const names: Readonly<Record<string, string>> = {
    string: "text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
    array: "a list",
    object: "a mapping",
    record: "a mapping",
    null: "nothing",
  };
  return names[expected] ?? expected;
}

function kindOf(value: JsonValue): string {
  if (value === null) return "nothing";
  if (value === HIDDEN) return "something else";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return typeof value === "string" ? `the text ${show(value)}` : show(value);
}

function nearestTo(value: JsonValue, candidates: readonly string[]): string | null {
  return typeof value === "string" ? nearest(value, candidates) : null;
}

function show(value: JsonValue | undefined): string {
  const text = JSON.stringify(value ?? null);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

function has(value: JsonValue | undefined, key: string): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key);
}

const HIDDEN = "(hidden)";

/** The value for messages; of a secret, only whether it is there. */
function shownAt(data: JsonValue, path: readonly PathSegment[]): JsonValue | undefined {
  const value = valueAt(data, path);
  return isSecret(path) && typeof value !== "object" && value !== undefined ? HIDDEN : value;
}

/** What stands at a path; undefined when nothing does. */
function valueAt(data: JsonValue, path: readonly PathSegment[]): JsonValue | undefined {
  let value: JsonValue | undefined = data;
  for (const segment of path) {
    if (!has(value, String(segment))) return undefined;
    value = (value as Readonly<Record<string, JsonValue>>)[String(segment)];
  }
  return value;
}
