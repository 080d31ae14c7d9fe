import { nodeKey } from "../common/model/node.js";
import type { Observation, ObservationReport } from "../common/model/observation.js";

/** Reports on their way to one coordinator, in the order they were made. */
export type Batch = {
  readonly sequence: number;
  readonly reports: readonly ObservationReport[];
};

export type BufferOptions = {
  /** Reports kept for a coordinator that is away or slow. Beyond it only the newest of each check stay. */
  readonly reportsMax: number;
  /** Reports in one batch, and roughly its size in characters: far below the 4 MiB that a coordinator takes. */
  readonly batchReportsMax: number;
  readonly batchCharsMax: number;
};
export const BUFFER_DEFAULTS: BufferOptions = {
  reportsMax: 8_192,
  batchReportsMax: 512,
  batchCharsMax: 1_000_000,
};

/**
 * What one coordinator has not acknowledged yet. A batch keeps its number and its reports until it is
 * acknowledged, so that it can be sent again and be recognised. Pure: no clock, no stream.
 */
export class ObservationBuffer {
  readonly #options: BufferOptions;
  /** Batches with a number, oldest first; the first `#sent` of them went out on this stream. */
  #batches: Batch[] = [];
  #sent = 0;
  #waiting: ObservationReport[] = [];
  #count = 0;
  #countAfterThinning = 0;
  #nextSequence = 1;
  #dropped = 0;

  constructor(options: Partial<BufferOptions> = {}) {
    this.#options = { ...BUFFER_DEFAULTS, ...options };
  }

  /** Reports that are kept. */
  get size(): number {
    return this.#count;
  }

  /** Batches that were given up because the buffer was full. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Number of the first batch that still has to be sent. */
  get firstSequence(): number {
    return this.#batches[0]?.sequence ?? this.#nextSequence;
  }

  add(reports: readonly ObservationReport[]): void {
    for (const report of reports) this.#waiting.push(report);
    this.#count += reports.length;
    // Twice what thinning left: else, with many checks, every report would thin again.
    if (this.#count > Math.max(this.#options.reportsMax, 2 * this.#countAfterThinning)) this.#thin();
  }

  /** How things stand, for a coordinator that knows nothing: checks with a newer report in the buffer are left out. */
  addSnapshot(latest: readonly ObservationReport[]): void {
    const known = new Set(this.#all().map(checkKey));
    this.add(latest.filter((report) => !known.has(checkKey(report))));
  }

  /** The next batch to send; null: nothing to send, or so much unacknowledged that the coordinator has to catch up. */
  next(): Batch | null {
    const again = this.#batches[this.#sent];
    if (again !== undefined) {
      this.#sent += 1;
      return again;
    }
    const inFlight = this.#count - this.#waiting.length;
    if (this.#waiting.length === 0 || inFlight >= this.#options.reportsMax / 2) return null;
    const batch = { sequence: this.#nextSequence, reports: this.#takeWaiting() };
    this.#nextSequence += 1;
    this.#batches.push(batch);
    this.#sent += 1;
    return batch;
  }

  /** The coordinator has all batches up to `sequence`. */
  acknowledge(sequence: number): void {
    const open = this.#batches.filter((batch) => batch.sequence > sequence);
    const closed = this.#batches.slice(0, this.#batches.length - open.length);
    this.#count -= closed.reduce((sum, { reports }) => sum + reports.length, 0);
    this.#sent = Math.max(0, this.#sent - closed.length);
    this.#batches = open;
  }

  /** A new stream: what was not acknowledged goes out again. */
  rewind(): void {
    this.#sent = 0;
  }

  #takeWaiting(): readonly ObservationReport[] {
    let chars = 0;
    let count = 0;
    for (const report of this.#waiting) {
      chars += weight(report.observation);
      if (count > 0 && (count >= this.#options.batchReportsMax || chars > this.#options.batchCharsMax)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  /** Keeps the newest report of each check in its place: the coordinator wants the state, not its history. */
  #thin(): void {
    const seen = new Set<string>();
    const isNewest = (report: ObservationReport): boolean => {
      // An overdue reply is news only while it is fresh.
      if (report.isDoubt || seen.has(checkKey(report))) return false;
      seen.add(checkKey(report));
      return true;
    };
    this.#waiting = keepFromTheEnd(this.#waiting, isNewest);
    const batches = [...this.#batches]
      .reverse()
      .map(({ sequence, reports }) => ({ sequence, reports: keepFromTheEnd(reports, isNewest) }))
      .reverse();
    const kept = batches.filter(({ reports }) => reports.length > 0);
    this.#sent -= batches.slice(0, this.#sent).filter(({ reports }) => reports.length === 0).length;
    this.#dropped += batches.length - kept.length;
    this.#batches = kept;
    this.#count = this.#all().length;
    this.#countAfterThinning = this.#count;
  }

  #all(): readonly ObservationReport[] {
    return [...this.#batches.flatMap(({ reports }) => reports), ...this.#waiting];
  }
}

function keepFromTheEnd(
  reports: readonly ObservationReport[],
  isKept: (report: ObservationReport) => boolean,
): ObservationReport[] {
  return [...reports].reverse().filter(isKept).reverse();
}

function checkKey(report: ObservationReport): string {
  return `${nodeKey(report.node)}#${report.check}`;
}

/** Roughly what a report weighs on the wire, in characters. */
function weight(observation: Observation): number {
  const detail = "detail" in observation ? observation.detail.length : 0;
  let facts = 0;
  for (const name in observation.facts) facts += name.length + (observation.facts[name]?.length ?? 0);
  const warnings = "warnings" in observation ? (observation.warnings ?? []).join().length : 0;
  return 100 + Math.min(detail, 512) + facts + warnings;
}
