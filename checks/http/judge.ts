import type { HttpOptions } from "../../common/config/checks/http.js";
import { messageOf } from "../../common/errors.js";
import { compileJsonMatcher, jsonMismatch } from "../../common/json-match.js";
import type { JsonMatcher } from "../../common/json-match.js";
import type { Facts, Observation, Reason } from "../../common/model/observation.js";

/** An answer as far as it was read. */
export type Answer = {
  readonly status: number;
  readonly location: string | null;
  readonly body: Buffer;
  /** The body was longer than `max_body`. */
  readonly isTruncated: boolean;
};

/** What an answer must be, prepared once per check. */
export type Expectation = {
  readonly isPassing: (status: number) => boolean;
  readonly isDegraded: (status: number) => boolean;
  readonly statusText: string;
  readonly body: BodyExpectation | null;
  readonly maxBodyBytes: number;
};

type BodyExpectation = {
  readonly contains: string | null;
  readonly notContains: string | null;
  readonly equals: string | null;
  readonly regex: RegExp | null;
  readonly json: readonly JsonMatcher[];
};

export type Judgement =
  | { readonly outcome: "passed" }
  | { readonly outcome: "degraded" | "failed"; readonly reason: Reason; readonly detail: string };

type StatusRule = HttpOptions["status"][number];

export function compileExpectation(options: HttpOptions): Expectation {
  const body =
    typeof options.expect_body === "string" ? { contains: options.expect_body } : options.expect_body;
  return {
    isPassing: statusTest(options.status),
    isDegraded: statusTest(options.degraded_status ?? []),
    statusText: options.status.join(", "),
    maxBodyBytes: options.max_body,
    body:
      body === undefined
        ? null
        : {
            contains: body.contains ?? null,
            notContains: body.not_contains ?? null,
            equals: body.equals ?? null,
            regex: body.regex === undefined ? null : new RegExp(body.regex),
            json: (body.json ?? []).map(compileJsonMatcher),
          },
  };
}

/** `200`, `200-299` or `2xx`. */
function statusTest(rules: readonly StatusRule[]): (status: number) => boolean {
  const ranges = rules.map((rule) => {
    const text = String(rule);
    if (text.endsWith("xx")) return [Number(text[0]) * 100, Number(text[0]) * 100 + 99] as const;
    return [Number(text.slice(0, 3)), Number(text.slice(4) || text)] as const;
  });
  return (status) => ranges.some(([low, high]) => status >= low && status <= high);
}

/** Judges an answer by status, then by body. A status that degrades makes the body irrelevant. */
export function judgeAnswer(answer: Answer, expectation: Expectation): Judgement {
  const { status } = answer;
  if (expectation.isDegraded(status)) {
    return { outcome: "degraded", reason: "badStatus", detail: `status ${status}` };
  }
  if (!expectation.isPassing(status)) {
    const target = answer.location === null ? "" : ` to ${brief(answer.location)}`;
    return {
      outcome: "failed",
      reason: "badStatus",
      detail: `status ${status}${target}, expected ${expectation.statusText}`,
    };
  }
  return expectation.body === null
    ? { outcome: "passed" }
    : judgeBody(answer, expectation.body, expectation.maxBodyBytes);
}

function judgeBody(answer: Answer, expected: BodyExpectation, maxBodyBytes: number): Judgement {
  const text = answer.body.toString("utf8");
  const asksForWhole = expected.notContains !== null || expected.equals !== null || expected.json.length > 0;
  const problem = answer.isTruncated && asksForWhole ? "" : problemOfBody(text, expected);
  if (problem === null) return { outcome: "passed" };
  // What is missing may stand in the part that was not read.
  if (answer.isTruncated) {
    return {
      outcome: "failed",
      reason: "tooLarge",
      detail: `body is longer than ${maxBodyBytes} bytes (max_body)`,
    };
  }
  return { outcome: "failed", reason: "badBody", detail: problem };
}

function problemOfBody(text: string, expected: BodyExpectation): string | null {
  const { contains, notContains, equals, regex, json } = expected;
  const found = `body is ${brief(text)}`;
  if (contains !== null && !text.includes(contains))
    return `${found}, expected it to hold ${brief(contains)}`;
  if (notContains !== null && text.includes(notContains))
    return `${found}, expected it not to hold ${brief(notContains)}`;
  if (equals !== null && text.trim() !== equals.trim()) return `${found}, expected ${brief(equals)}`;
  if (regex !== null && !regex.test(text)) return `${found}, expected it to match ${brief(regex.source)}`;
  return json.length === 0 ? null : problemOfJson(text, json);
}

function problemOfJson(text: string, matchers: readonly JsonMatcher[]): string | null {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (thrown) {
    return `body ${brief(text)} is not JSON: ${messageOf(thrown).slice(0, 120)}`;
  }
  for (const matcher of matchers) {
    const mismatch = jsonMismatch(document, matcher);
    if (mismatch !== null) return mismatch;
  }
  return null;
}

/** At most 80 characters, quoted: it comes from anywhere and ends up in messages. */
function brief(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}

/** The observation of a judged answer, with what else is to be said of the node. */
export function observationOf(
  judgement: Judgement,
  circumstances: {
    readonly latencyMs: number;
    readonly slowMs: number | undefined;
    readonly warnings: readonly string[];
    readonly degradation: { readonly reason: Reason; readonly detail: string } | null;
    readonly facts?: Facts;
  },
): Observation {
  const { latencyMs, slowMs, warnings, degradation } = circumstances;
  const facts = circumstances.facts === undefined ? {} : { facts: circumstances.facts };
  if (judgement.outcome === "failed") return { ...judgement, latencyMs, ...facts };
  const extra = warnings.length === 0 ? { latencyMs, ...facts } : { latencyMs, ...facts, warnings };
  if (judgement.outcome === "degraded") return { ...judgement, ...extra };
  if (degradation !== null) return { outcome: "degraded", ...degradation, ...extra };
  if (slowMs !== undefined && latencyMs > slowMs) {
    const detail = `answered after ${Math.round(latencyMs)} ms, slow from ${slowMs} ms on`;
    return { outcome: "degraded", reason: "slow", detail, ...extra };
  }
  return { outcome: "passed", ...extra };
}
