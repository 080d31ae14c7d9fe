import type { ObservationReport } from "../../common/model/observation.js";
import type { TimingWheel } from "./wheel.js";
import { wheelEntry } from "./wheel.js";

/** How long news that changes nothing may wait for company. Milliseconds. */
const COLLECT_MS = 50;

/** Joins reports into batches: urgent ones leave at the end of this tick and take the waiting ones along. */
export class ReportBatch {
  readonly #wheel: TimingWheel;
  readonly #onReports: (reports: readonly ObservationReport[]) => void;
  readonly #entry = wheelEntry(() => this.#flush());
  #waiting: ObservationReport[] = [];
  #isFlushQueued = false;

  constructor(wheel: TimingWheel, onReports: (reports: readonly ObservationReport[]) => void) {
    this.#wheel = wheel;
    this.#onReports = onReports;
  }

  add(report: ObservationReport, isUrgent: boolean, nowMs: number): void {
    this.#waiting.push(report);
    if (isUrgent && !this.#isFlushQueued) {
      this.#isFlushQueued = true;
      queueMicrotask(() => this.#flush());
    } else if (this.#waiting.length === 1) {
      this.#wheel.set(this.#entry, nowMs + COLLECT_MS);
    }
  }

  close(): void {
    this.#waiting = [];
    this.#wheel.cancel(this.#entry);
  }

  #flush(): void {
    this.#isFlushQueued = false;
    this.#wheel.cancel(this.#entry);
    if (this.#waiting.length === 0) return;
    const reports = this.#waiting;
    this.#waiting = [];
    this.#onReports(reports);
  }
}
