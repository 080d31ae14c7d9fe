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

/** One look in the air. */
export class Run {
  readonly startedMs: number;
  readonly timeoutMs: number;
  readonly owner: RunOwner;
  readonly entry: WheelEntry;
  stage: RunStage = "waiting";
  readonly #controller: AbortController;

  /** `controller`: one that an earlier run left unused; making one with its signal costs a kilobyte. */
  constructor(
    owner: RunOwner,
    startedMs: number,
    timeoutMs: number,
    controller: AbortController = new AbortController(),
  ) {
    this.owner = owner;
    this.startedMs = startedMs;
    this.timeoutMs = timeoutMs;
    this.#controller = controller;
    this.entry = wheelEntry(() => this.owner.onDue(this));
  }

  start(check: Check): void {
    const settle = (observation: Observation): void => {
      if (this.stage !== "over") this.owner.onSettled(this, observation);
    };
    try {
      check.run(this.#controller.signal).then(settle, (thrown: unknown) => settle(brokenCheck(thrown)));
    } catch (thrown) {
      // As if it had rejected: the caller must not be told before start() returns.
      queueMicrotask(() => settle(brokenCheck(thrown)));
    }
  }

  judge(): void {
    if (this.stage !== "over") this.owner.judgeExpired(this);
  }

  /** Tells the check that its time is up; what it still says goes to the owner while the stage allows. */
  abort(): void {
    this.#controller.abort();
  }

  /** What another run may use once this one has settled; null: it was aborted, which cannot be taken back. */
  unusedController(): AbortController | null {
    return this.#controller.signal.aborted ? null : this.#controller;
  }
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
