/** Weighs one observer's last word on one check: does it count now, and what does it say? */
import { ABSTAIN_LEVEL } from "../../common/model/assignment.js";
import type { CheckConfig } from "../../common/config/model.js";
import type { BallotEvidence } from "../../common/model/cut.js";
import type { CheckMemory, ObserverMemory } from "./knowledge.js";

/** Where an observer stands: beside the node, on another host, or in this coordinator. */
export type Role = "local" | "own" | "peer";

export type Standing =
  /** Passed at least `rise` times in a row. */
  | "passing"
  /** Alive but not for every use, at least `fall` times in a row. */
  | "degraded"
  /** Answers, but not yet often enough to say more. */
  | "settling"
  /** Failed, but fewer than `fall` times in a row. */
  | "faltering"
  /** Failed at least `fall` times in a row. */
  | "failing"
  /** Does not count: the observer could not judge. */
  | "inconclusive"
  /** Does not count: too old. */
  | "stale"
  /** Does not count: from before the observer restarted. */
  | "unverified"
  /** Does not count: the observer doubts itself. */
  | "abstaining"
  /** Does not count: the observer is away. */
  | "disconnected";

export type Evidence = {
  readonly observer: string;
  readonly role: Role;
  readonly check: CheckConfig;
  readonly memory: CheckMemory;
  readonly standing: Standing;
  /** Milliseconds since the check ended. */
  readonly ageMs: number;
  /** The next word should have come by now: holds what is, but no longer contradicts others. */
  readonly isOverdue: boolean;
};

/** The shortest time for which a report counts, so that fast checks survive a short silence. Milliseconds. */
const FRESH_MIN_MS = 5_000;

/** How long a report counts: three intervals with their timeouts, stretched as the observer stretches them. */
export function freshnessMs(check: CheckConfig, doubtLevel: number): number {
  return Math.max(3 * (check.everyMs + check.timeoutMs), FRESH_MIN_MS) * stretch(doubtLevel);
}

/** When the next word must have arrived: one missed turn is forgiven. */
export function overdueMs(check: CheckConfig, doubtLevel: number): number {
  return (2 * check.everyMs + check.timeoutMs) * stretch(doubtLevel);
}

export function weigh(
  seen: { readonly observer: string; readonly role: Role; readonly memory: CheckMemory },
  check: CheckConfig,
  observer: ObserverMemory,
  nowMs: number,
): Evidence {
  const ageMs = Math.max(0, nowMs - seen.memory.report.takenAtMs);
  const isFresh = ageMs <= freshnessMs(check, observer.doubtLevel);
  return {
    ...seen,
    check,
    ageMs,
    standing: standingOf(seen.memory, check, observer, isFresh),
    isOverdue: ageMs > overdueMs(check, observer.doubtLevel),
  };
}

/** Whether it counts at all. */
export function isCounted(evidence: Evidence): boolean {
  return isAnswering(evidence) || evidence.standing === "faltering" || evidence.standing === "failing";
}

export function isAnswering(evidence: Evidence): boolean {
  const { standing } = evidence;
  return standing === "passing" || standing === "degraded" || standing === "settling";
}

/** Refused connections in a row, at least 100 ms apart, that make one observer's word strong. */
const REFUSALS_NEEDED = 2;

export function isRefused(evidence: Evidence): boolean {
  return isCounted(evidence) && evidence.memory.report.refusals >= REFUSALS_NEEDED;
}

/** The evidence as it is kept in the log. */
export function toBallotEvidence(evidence: Evidence): BallotEvidence {
  const { report, exitedAtMs } = evidence.memory;
  const { observation } = report;
  const isPassed = observation.outcome === "passed";
  return {
    observer: evidence.observer,
    check: evidence.check.id,
    outcome: observation.outcome,
    reason: isPassed ? null : observation.reason,
    detail: isPassed ? "" : observation.detail,
    ageMs: Math.round(evidence.ageMs),
    latencyMs: observation.latencyMs,
    consecutive: report.consecutive,
    threshold: observation.outcome === "passed" ? evidence.check.rise : evidence.check.fall,
    isConclusive: exitedAtMs !== null || isRefused(evidence),
    isAbstaining: evidence.standing === "abstaining" || observation.outcome === "inconclusive",
  };
}

function standingOf(
  memory: CheckMemory,
  check: CheckConfig,
  observer: ObserverMemory,
  isFresh: boolean,
): Standing {
  if (!memory.isVerified) return "unverified";
  if (!isFresh) return "stale";
  if (observer.doubtLevel >= ABSTAIN_LEVEL) return "abstaining";
  if (!observer.isConnected) return "disconnected";
  switch (memory.report.observation.outcome) {
    case "inconclusive":
      return "inconclusive";
    case "failed":
      return memory.report.consecutive >= check.fall ? "failing" : "faltering";
    case "degraded":
      return memory.sameOutcome >= check.fall ? "degraded" : "settling";
    case "passed":
      return memory.sameOutcome >= check.rise ? "passing" : "settling";
  }
}

function stretch(doubtLevel: number): number {
  return 1 + Math.min(doubtLevel, ABSTAIN_LEVEL);
}
