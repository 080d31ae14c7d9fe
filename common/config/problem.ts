import { ClusterduckError } from "../errors.js";
import type { JsonValue } from "./model.js";

export type PathSegment = string | number;

/** One thing to mend in a configuration, and where. */
export type ConfigProblem = {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** `clusters.web.nodes[3].weight`; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong, without the path. */
  readonly message: string;
  /** The value as JSON, cut and never of a secret; null: there is none, or it must not be shown. */
  readonly value: string | null;
  /** What would be accepted: keys or values; empty when the message says it all. */
  readonly allowed: readonly string[];
  /** The nearest of `allowed`. */
  readonly suggestion: string | null;
  /** The line of the file, to show beneath; null when it holds a secret or there is none. */
  readonly sourceLine: string | null;
  /** Characters to underline. */
  readonly length: number;
};

/** A configuration that cannot be used, with every problem at once. */
export class ConfigError extends ClusterduckError {
  readonly problems: readonly ConfigProblem[];

  constructor(fileName: string, problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super(
      "CONFIG_INVALID",
      `Cannot use configuration "${printable(fileName)}": ${count}\n\n${formatProblems(problems)}`,
    );
    this.problems = problems;
  }
}

const SHOWN_MAX = 50;

/** Like a compiler: place, what, the line with a mark beneath, and what would work. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  const shown = problems.slice(0, SHOWN_MAX).map(formatProblem);
  const hidden = problems.length - shown.length;
  return [...shown, ...(hidden > 0 ? [`… and ${hidden} more`] : [])].join("\n\n");
}

function formatProblem(problem: ConfigProblem): string {
  const where = `${printable(problem.file)}:${problem.line}:${problem.column}`;
  const lines = [`${where}: ${problem.path === "" ? "" : `${problem.path}: `}${problem.message}`];
  if (problem.sourceLine !== null) lines.push(...excerpt(problem, problem.sourceLine));
  if (problem.suggestion !== null) lines.push(`  did you mean "${problem.suggestion}"?`);
  if (problem.allowed.length > 0) lines.push(`  allowed: ${problem.allowed.join(", ")}`);
  return lines.map(printable).join("\n");
}

const EXCERPT_MAX = 100;

function excerpt(problem: ConfigProblem, source: string): string[] {
  // Long lines are shown from shortly before the mark, so that the mark is on the screen.
  const start = problem.column > EXCERPT_MAX - 20 ? problem.column - 21 : 0;
  const text = printable(source.slice(start, start + EXCERPT_MAX));
  const number = String(problem.line).padStart(4);
  const before = Math.min(problem.column - 1 - start, text.length);
  const marks = Math.max(1, Math.min(problem.length, text.length - before));
  return [
    `${number} | ${text}`.trimEnd(),
    `${" ".repeat(number.length)} | ${" ".repeat(before)}${"^".repeat(marks)}`,
  ];
}

export function formatPath(path: readonly PathSegment[]): string {
  return path
    .map((segment, position) => {
      if (typeof segment === "number") return `[${segment}]`;
      const text = /^[A-Za-z0-9_-]+$/.test(segment) ? segment : JSON.stringify(shorten(segment));
      return position === 0 ? text : `.${text}`;
    })
    .join("");
}

/** Keys whose values are never shown. A `*_file` holds a path, which may be. */
export function isSecret(path: readonly PathSegment[]): boolean {
  if (path.at(-2) === "tls" && path.at(-1) === "key") return true;
  return path.some(
    (segment) =>
      typeof segment === "string" &&
      /password|passwd|passphrase|secret|token|credential|authorization|api_?key|_pass\b|_pwd\b/i.test(
        segment,
      ) &&
      !segment.endsWith("_file"),
  );
}

/** A value for a message: JSON on one line, at most 80 characters. */
export function showValue(value: JsonValue): string {
  return shorten(JSON.stringify(value));
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** Keeps one column per character, and terminals out of the control of the file. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, " ");
}
