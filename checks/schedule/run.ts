import type { Check } from "../check.js";
import { messageOf } from "../../common/errors.js";
import type { Observation } from "../../common/model/observation.js";
import type { WheelEntry } from "./wheel.js";
import { wheelEntry } from "./wheel.js";

/**
 * waiting: nothing is late. overdue: a reply would have been here by now. expired: the timeout has passed and
 * is not yet believed. aborted: believed; the check may still add its own words. over: settled or given up.
 */
export type RunStage = "waiting" | "overdue" | "expired" | "aborted" | "over";

export type RunOwner = {
  onSettled(run: Run, observation: Observation): void;
  /** The time that was set for this run has come: overdue or expired. */
  onDue(run: Run): void;
  /** The event loop has read what there was since the run expired or was aborted. */
  judgeExpired(run: Run): void;
};

/** One look in the air; afterwards it may serve for another, as making one costs more than most looks. */
export class Run {
  readonly owner: RunOwner;
  readonly entry: WheelEntry;
  startedMs: number;
  timeoutMs: number;
  stage: RunStage = "waiting";
  readonly #controller = new AbortController();
  #hasExpired = false;

  constructor(owner: RunOwner, startedMs: number, timeoutMs: number) {
    this.owner = owner;
    this.startedMs = startedMs;
    this.timeoutMs = timeoutMs;
    this.entry = wheelEntry(() => this.owner.onDue(this));
  }

  start(check: Check): void {
    try {
      check.run(this.#controller.signal).then(this.#onSettled, this.#onThrown);
    } catch (thrown) {
      // As if it had rejected: the caller must not be told before start() returns.
      queueMicrotask(() => this.#onThrown(thrown));
    }
  }

  /** The timeout has passed. Whether that is believed, the owner decides when it is judged. */
  expire(): void {
    this.stage = "expired";
    this.#hasExpired = true;
  }

  judge(): void {
    if (this.stage !== "over") this.owner.judgeExpired(this);
  }

  /** Tells the check that its time is up; what it still says goes to the owner while the stage allows. */
  abort(): void {
    this.#hasExpired = true;
    this.#controller.abort();
  }

  /** Whether it was settled in time, so that nobody will hear of that look again. */
  get isReusable(): boolean {
    return !this.#hasExpired;
  }

  /** Makes a reusable run another one. */
  reuse(startedMs: number, timeoutMs: number): void {
    this.startedMs = startedMs;
    this.timeoutMs = timeoutMs;
    this.stage = "waiting";
  }

  readonly #onSettled = (observation: Observation): void => {
    if (this.stage !== "over") this.owner.onSettled(this, observation);
  };

  readonly #onThrown = (thrown: unknown): void => this.#onSettled(brokenCheck(thrown));
}

/** A check that throws is our fault or its configuration's, never the service's. */
export function brokenCheck(thrown: unknown): Observation {
  return { outcome: "inconclusive", reason: "internal", detail: messageOf(thrown), latencyMs: 0 };
}

/** What a run that was not answered in time saw; `said`: the check's own words after the abort, if any. */
export function timedOut(run: Run, nowMs: number, said: Observation | null): Observation {
  const latencyMs = nowMs - run.startedMs;
  const isOwnWord = said?.outcome === "failed" && said.reason === "timedOut" && said.detail !== "";
  const detail = isOwnWord ? said.detail : `no answer within ${Math.round(run.timeoutMs)} ms`;
  const facts = said?.facts;
  return {
    outcome: "failed",
    reason: "timedOut",
    detail,
    latencyMs,
    ...(facts === undefined ? {} : { facts }),
  };
}

/** A passing observation with a remark that it came late; others as they are. */
export function markSlow(observation: Observation, remark: string): Observation {
  if (observation.outcome !== "passed" && observation.outcome !== "degraded") return observation;
  return { ...observation, warnings: [...(observation.warnings ?? []), `slow: ${remark}`] };
}
