import type { ObservationBatch, Repeats } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { ObservationReport } from "../../common/model/observation.js";
import { decodeReport } from "../../common/wire/observation.js";
import { fromDuration, invalid } from "../../common/wire/values.js";

/** Reads the batches of one stream, on which a check that sees the same as before sends a number and the times. */
export class ObservationReader {
  /** Key: the number. */
  readonly #said = new Map<number, ObservationReport>();

  /**
   * The reports in the order they were made, as far as they are of one check.
   * @throws ClusterduckError INVALID_ARGUMENT for what no agent of ours sends.
   */
  read(batch: ObservationBatch, receivedAtMs: number): readonly ObservationReport[] {
    const reports = batch.repeats === undefined ? [] : this.#repeated(batch.repeats, receivedAtMs);
    for (const wire of batch.observations) {
      const report = decodeReport(wire, receivedAtMs);
      if (wire.number !== 0) this.#said.set(wire.number, report);
      reports.push(report);
    }
    return reports;
  }

  #repeated({ numbers, latencyMs, ageMs, consecutive }: Repeats, receivedAtMs: number): ObservationReport[] {
    const lengths = [numbers, latencyMs, ageMs, consecutive].map(({ length }) => length);
    if (new Set(lengths).size !== 1)
      throw invalid(`repeats are lists of ${lengths.join(", ")} entries, expected equally many`);
    return numbers.map((number, at) => {
      const said = this.#said.get(number);
      if (said === undefined)
        throw invalid(`number ${number} is repeated, which was not said on this stream`);
      const latency = fromDuration(latencyMs[at] as number, "a repeat's latency");
      const age = fromDuration(ageMs[at] as number, "a repeat's age");
      return {
        ...said,
        observation: { ...said.observation, latencyMs: latency },
        consecutive: consecutive[at] as number,
        takenAtMs: receivedAtMs - age,
      };
    });
  }
}
