import type { MessageInitShape } from "@bufbuild/protobuf";
import { Outcome as WireOutcome } from "../../proto/gen/clusterduck/v1/model_pb.js";
import type {
  Observation as WireObservation,
  ObservationSchema,
} from "../../proto/gen/clusterduck/v1/model_pb.js";
import type { Facts, Observation, ObservationReport, Outcome, Reason } from "../model/observation.js";
import { fromDuration, fromName, fromNodeRef, invalid, toUint32 } from "./values.js";

/** The raw error text is for people; more of it would only cost. */
const DETAIL_MAX_CHARS = 512;
const TEXT_MAX_CHARS = 1_024;
const FACTS_MAX = 128;
const WARNINGS_MAX = 32;

const TO_WIRE: Readonly<Record<Outcome, WireOutcome>> = {
  passed: WireOutcome.PASSED,
  degraded: WireOutcome.DEGRADED,
  failed: WireOutcome.FAILED,
  inconclusive: WireOutcome.INCONCLUSIVE,
};

/** A record, so that the compiler finds the reason that is missing here. */
const REASONS: Readonly<Record<Reason, true>> = {
  refused: true,
  timedOut: true,
  unreachable: true,
  reset: true,
  closed: true,
  dns: true,
  tls: true,
  certificateExpiry: true,
  protocol: true,
  badStatus: true,
  badBody: true,
  tooLarge: true,
  mismatch: true,
  loading: true,
  notWritable: true,
  busy: true,
  staleReplica: true,
  connectionLimit: true,
  auth: true,
  notServing: true,
  exitCode: true,
  slow: true,
  overloaded: true,
  internal: true,
};

/** Our outcome as the enum of the wire; for `BallotEvidence` as well. */
export function outcomeToWire(outcome: Outcome): WireOutcome {
  return TO_WIRE[outcome];
}

/** @throws ClusterduckError INVALID_ARGUMENT for one that no program of ours sends. */
export function outcomeFromWire(outcome: WireOutcome): Outcome {
  const found = (Object.keys(TO_WIRE) as Outcome[]).find((each) => TO_WIRE[each] === outcome);
  if (found !== undefined) return found;
  throw invalid(`an outcome is ${outcome}, expected 1 to 4`);
}

/** Null for none; one that only a newer program knows is `internal`. */
export function reasonFromWire(word: string): Reason | null {
  if (word === "") return null;
  return isReason(word) ? word : "internal";
}

/**
 * A report about to be sent: its moment becomes an age, as hosts share no clock. Texts are cut to what the
 * wire allows.
 * @param nowMs the same monotonic clock as `takenAtMs`.
 */
export function encodeReport(
  report: ObservationReport,
  nowMs: number,
): MessageInitShape<typeof ObservationSchema> {
  const { observation } = report;
  const isPassed = observation.outcome === "passed";
  return {
    node: report.node,
    check: report.check,
    outcome: TO_WIRE[observation.outcome],
    reason: isPassed ? "" : observation.reason,
    detail: isPassed ? "" : cut(observation.detail, DETAIL_MAX_CHARS),
    latencyMs: observation.latencyMs,
    ageMs: Math.max(0, nowMs - report.takenAtMs),
    consecutive: toUint32(report.consecutive),
    refusals: toUint32(report.refusals),
    processExited: report.hasProcessExited,
    attributes: encodeFacts(observation.facts),
    warnings: warningsOf(observation)
      .slice(0, WARNINGS_MAX)
      .map((warning) => cut(warning, TEXT_MAX_CHARS)),
    isDoubt: report.isDoubt,
  };
}

/**
 * A report that has arrived; its age becomes a moment of our own monotonic clock.
 * @throws ClusterduckError INVALID_ARGUMENT for what no agent of ours sends.
 */
export function decodeReport(wire: WireObservation, receivedAtMs: number): ObservationReport {
  return {
    node: fromNodeRef(wire.node),
    check: fromName(wire.check, "an observation's check"),
    observation: decodeObservation(wire),
    consecutive: wire.consecutive,
    refusals: wire.refusals,
    hasProcessExited: wire.processExited,
    isDoubt: wire.isDoubt,
    takenAtMs: receivedAtMs - fromDuration(wire.ageMs, "an observation's age"),
  };
}

function decodeObservation(wire: WireObservation): Observation {
  const latencyMs = fromDuration(wire.latencyMs, "an observation's latency");
  const facts = Object.keys(wire.attributes).length === 0 ? {} : { facts: wire.attributes };
  const warnings = wire.warnings.length === 0 ? {} : { warnings: wire.warnings };
  switch (wire.outcome) {
    case WireOutcome.PASSED:
      return { outcome: "passed", latencyMs, ...facts, ...warnings };
    case WireOutcome.DEGRADED:
      return { outcome: "degraded", ...decodeReason(wire), latencyMs, ...facts, ...warnings };
    case WireOutcome.FAILED:
      return { outcome: "failed", ...decodeReason(wire), latencyMs, ...facts };
    case WireOutcome.INCONCLUSIVE:
      return { outcome: "inconclusive", ...decodeReason(wire), latencyMs, ...facts };
    default:
      throw invalid(`an observation's outcome is ${wire.outcome}, expected 1 to 4`);
  }
}

/** A newer program's reason is kept as text: its outcome counts all the same. */
function decodeReason(wire: WireObservation): { readonly reason: Reason; readonly detail: string } {
  const detail = cut(wire.detail, DETAIL_MAX_CHARS);
  if (isReason(wire.reason)) return { reason: wire.reason, detail };
  return { reason: "internal", detail: cut(`${wire.reason}: ${detail}`, DETAIL_MAX_CHARS) };
}

function isReason(word: string): word is Reason {
  return Object.hasOwn(REASONS, word);
}

function warningsOf(observation: Observation): readonly string[] {
  return "warnings" in observation ? (observation.warnings ?? []) : [];
}

function encodeFacts(facts: Facts | undefined): Record<string, string> {
  const entries = Object.entries(facts ?? {}).slice(0, FACTS_MAX);
  return Object.fromEntries(entries.map(([name, value]) => [name, cut(value, TEXT_MAX_CHARS)]));
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`;
}
