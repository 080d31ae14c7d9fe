import type { Clock } from "../../common/clock.js";
import type { Random } from "../../common/random.js";
import type { ApplyOutcome, Bundle } from "../../appliers/applier.js";
import type { LedgerLine } from "./ledger.js";

export type TargetOptions = {
  readonly target: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Hands the bundle on; false: nobody is there to take it. Its outcome comes back through `answer`. */
  readonly send: (bundle: Bundle) => boolean;
  /** The line has converged, failed, or changed its error. */
  readonly onSettled: (line: LedgerLine) => void;
};

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** An agent that took an order and says nothing: longer than a validation and a reload may take together. */
const ANSWER_MS = 60_000;

/** One proxy of one balancer: sends what is wanted, and again until it is there. */
export class Target {
  readonly #options: TargetOptions;
  #wanted: Bundle | null = null;
  #isReachable = true;
  #isInFlight = false;
  #hasConverged = false;
  #last: ApplyOutcome | null = null;
  #error = "";
  #isDrifted = false;
  #failures = 0;
  #sinceMs: number;
  #cancelTimer: () => void = () => undefined;
  #isClosed = false;

  constructor(options: TargetOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.monotonicMs();
  }

  /** Orders a bundle, unless the same generation is ordered, or there, already. */
  want(bundle: Bundle): void {
    if (this.#wanted?.generation === bundle.generation) return;
    this.#wanted = bundle;
    this.#failures = 0;
    this.#error = "";
    this.#isDrifted = false;
    this.#hasConverged = false;
    // With another order on its way, what it held before says nothing.
    if (!this.#isInFlight && this.#holds(bundle.generation)) this.#converge();
    else this.#dispatch();
  }

  /** Sends the wanted bundle again, whatever is known: somebody asked, or the proxy came back. */
  resend(): void {
    this.#isReachable = true;
    this.#failures = 0;
    if (this.#wanted !== null) this.#dispatch();
  }

  /** This coordinator leads now: what it orders from here on bears its term. The same generation as wanted. */
  lead(bundle: Bundle): void {
    if (this.#wanted?.generation === bundle.generation) this.#wanted = bundle;
    if (!this.#hasConverged) this.resend();
  }

  /** Came back: what it said it holds may be what is wanted. */
  found(wanted: Bundle): void {
    this.#isReachable = true;
    // What was on its way went down with the old stream.
    this.#isInFlight = false;
    if (this.#wanted?.generation !== wanted.generation) this.want(wanted);
    else if (this.#holds(wanted.generation)) this.#converge();
    else this.resend();
  }

  lost(): void {
    this.#isReachable = false;
    this.#isInFlight = false;
    this.#cancelTimer();
  }

  /** What the proxy said it holds without having been asked (in an agent's Hello). */
  report(outcome: ApplyOutcome): void {
    this.#last = outcome;
    this.#sinceMs = this.#options.clock.monotonicMs();
  }

  /** Told without having been asked: what had converged may have drifted. */
  sighted(outcome: ApplyOutcome): void {
    const hasDrifted =
      this.#isReachable &&
      outcome.wantedGeneration === this.wantedGeneration &&
      !isHolding(outcome, this.wantedGeneration);
    if (hasDrifted && this.#hasConverged) this.drift(outcome);
    else this.report(outcome);
  }

  answer(outcome: ApplyOutcome): void {
    if (this.#isClosed) return;
    this.report(outcome);
    // An answer to an older order: the newer one is on its way.
    if (this.#wanted === null || outcome.wantedGeneration !== this.#wanted.generation) return;
    this.#isInFlight = false;
    this.#cancelTimer();
    this.#isReachable = true;
    if (outcome.error === "" && this.#holds(this.#wanted.generation)) this.#converge();
    else
      this.#fail(
        outcome.error || `It holds generation ${outcome.appliedGeneration || "none"} after the order`,
      );
  }

  /** A look at the proxy showed something else than what it had converged to: order it again. */
  drift(seen: { appliedGeneration: string; observedGeneration: string; error: string }): void {
    if (this.#wanted === null || this.#isInFlight || !this.#hasConverged) return;
    if (this.#last !== null) this.#last = { ...this.#last, ...seen };
    this.#isDrifted = true;
    this.#hasConverged = false;
    this.#error = seen.error || "The proxy differs from what it had taken";
    this.#settled();
    this.#dispatch();
  }

  get isConverged(): boolean {
    return this.#hasConverged;
  }

  get wantedGeneration(): string {
    return this.#wanted?.generation ?? "";
  }

  line(): LedgerLine {
    return {
      target: this.#options.target,
      wantedGeneration: this.wantedGeneration,
      appliedGeneration: this.#last?.appliedGeneration ?? "",
      observedGeneration: this.#last?.observedGeneration ?? "",
      state: this.#state(),
      error: this.#error,
      warnings: this.#last?.warnings ?? [],
      ageMs: this.#options.clock.monotonicMs() - this.#sinceMs,
      method: this.#last?.method ?? "",
      durationMs: this.#last?.durationMs ?? 0,
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
  }

  #state(): LedgerLine["state"] {
    if (!this.#isReachable) return "unreachable";
    if (this.#hasConverged) return "converged";
    if (this.#isDrifted) return "drifted";
    return this.#error === "" ? "pending" : "failed";
  }

  #holds(generation: string): boolean {
    return this.#last !== null && isHolding(this.#last, generation);
  }

  #dispatch(): void {
    this.#cancelTimer();
    if (this.#isClosed || this.#wanted === null) return;
    const bundle = this.#wanted;
    if (!this.#options.send(bundle)) {
      this.#isReachable = false;
      this.#isInFlight = false;
      return;
    }
    this.#isInFlight = true;
    this.#cancelTimer = this.#options.clock.after(ANSWER_MS, () => {
      this.#isInFlight = false;
      this.#fail(`No answer within ${ANSWER_MS / 1_000} s`);
    });
  }

  #converge(): void {
    this.#hasConverged = true;
    this.#isDrifted = false;
    this.#failures = 0;
    this.#error = "";
    this.#settled();
  }

  #fail(error: string): void {
    this.#isDrifted = false;
    this.#error = error;
    this.#failures++;
    this.#settled();
    const backoffMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (this.#failures - 1));
    // Spread, so that many proxies with one trouble do not come back as one.
    const waitMs = backoffMs * (0.8 + 0.4 * this.#options.random());
    this.#cancelTimer = this.#options.clock.after(waitMs, () => this.#dispatch());
  }

  #settled(): void {
    this.#options.onSettled(this.line());
  }
}

function isHolding(
  seen: Pick<ApplyOutcome, "appliedGeneration" | "observedGeneration" | "error">,
  generation: string,
): boolean {
  if (seen.error !== "" || seen.appliedGeneration !== generation) return false;
  return seen.observedGeneration === "" || seen.observedGeneration === generation;
}
