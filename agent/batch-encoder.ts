import type { ObservationBatch } from "../proto/gen/clusterduck/v1/agent_pb.js";
import { nodeKey } from "../common/model/node.js";
import type { Facts, Observation, ObservationReport } from "../common/model/observation.js";
import { encodeReport } from "../common/wire/observation.js";
import { toUint32 } from "../common/wire/values.js";
import { encodeBatch, type WireObservation, type WireRepeats } from "./observation-bytes.js";
import type { Batch } from "./observation-buffer.js";

/** What one check said last in full on this stream. */
type Said = {
  /** Its name in repeats. */
  readonly number: number;
  report: ObservationReport | null;
  /** The batch after which it may be repeated: the repeats of a batch are read before its observations. */
  sequence: number;
};

/**
 * Writes the batches of one stream. A check that sees what it saw before, as nearly all do nearly always, costs
 * sixteen bytes and no text: its number on this stream and what is new, which is the times.
 */
export class BatchEncoder {
  /** Key: node and check. */
  readonly #said = new Map<string, Said>();

  /** @param nowMs the moment of sending, on the same monotonic clock as the reports. */
  encode(batch: Batch, dropped: number, nowMs: number): ObservationBatch {
    const observations: WireObservation[] = [];
    const repeats = { numbers: [], latencyMs: [], ageMs: [], consecutive: [] } satisfies WireRepeats;
    for (const report of batch.reports) {
      const said = this.#saidBy(report);
      if (said.sequence < batch.sequence && said.report !== null && isRepeat(said.report, report)) {
        push(repeats, said.number, report, nowMs);
        continue;
      }
      said.sequence = batch.sequence;
      // A doubt is told once, and what was seen before it stays what was seen last.
      if (!report.isDoubt) said.report = report;
      observations.push({ ...encodeReport(report, nowMs), number: report.isDoubt ? 0 : said.number });
    }
    return encodeBatch({ sequence: batch.sequence, dropped, observations, repeats });
  }

  #saidBy({ node, check }: ObservationReport): Said {
    const key = `${nodeKey(node)}#${check}`;
    const known = this.#said.get(key);
    if (known !== undefined) return known;
    const said: Said = { number: this.#said.size + 1, report: null, sequence: 0 };
    this.#said.set(key, said);
    return said;
  }
}

function push(repeats: WireRepeats, number: number, report: ObservationReport, nowMs: number): void {
  repeats.numbers.push(number);
  repeats.latencyMs.push(report.observation.latencyMs);
  repeats.ageMs.push(Math.max(0, nowMs - report.takenAtMs));
  repeats.consecutive.push(toUint32(report.consecutive));
}

/** Whether two reports of one check differ in nothing but their times and their place in the row. */
function isRepeat(before: ObservationReport, report: ObservationReport): boolean {
  return (
    before.isDoubt === report.isDoubt &&
    before.hasProcessExited === report.hasProcessExited &&
    before.refusals === report.refusals &&
    isSameObservation(before.observation, report.observation)
  );
}

function isSameObservation(before: Observation, seen: Observation): boolean {
  return (
    before.outcome === seen.outcome &&
    isSameComplaint(before, seen) &&
    isSameFacts(before.facts, seen.facts) &&
    // Warnings tell of what changes: they are said in full.
    !hasWarnings(before) &&
    !hasWarnings(seen)
  );
}

function isSameComplaint(before: Observation, seen: Observation): boolean {
  if (before.outcome === "passed" || seen.outcome === "passed") return true;
  return before.reason === seen.reason && before.detail === seen.detail;
}

function hasWarnings(observation: Observation): boolean {
  return "warnings" in observation && observation.warnings !== undefined && observation.warnings.length > 0;
}

function isSameFacts(known: Facts | undefined, facts: Facts | undefined): boolean {
  if (known === facts) return true;
  if (known === undefined || facts === undefined) return false;
  const names = Object.keys(facts);
  return names.length === Object.keys(known).length && names.every((name) => known[name] === facts[name]);
}
