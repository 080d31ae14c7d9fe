/** Both ends of an agent's stream of observations, without the network between them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { BatchEncoder } from "../../agent/batch-encoder.js";
import type { Batch } from "../../agent/observation-buffer.js";
import type { Observation, ObservationReport } from "../../common/model/observation.js";
import { ObservationReader } from "../../coordinator/agents/observation-reader.js";
import { ObservationBatchSchema } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { ObservationBatch } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import { fc } from "../support/properties.js";

const NOW_MS = 1_000_000;

const facts = fc.constantFrom({}, { facts: { status: "200" } }, { facts: { role: "primary", lag: "1" } });
const warnings = fc.constantFrom({}, { warnings: ["slow: answered after 20 ms"] });
const complaint = fc.constantFrom(
  { reason: "refused" as const, detail: "connect ECONNREFUSED" },
  { reason: "timedOut" as const, detail: "no answer within 100 ms" },
);
/** Milliseconds that a float of 32 bits holds exactly. */
const millis = fc.nat({ max: 40_000 }).map((value) => value / 4);
const observation: fc.Arbitrary<Observation> = fc.oneof(
  fc.tuple(facts, warnings, millis).map(([seen, remarks, latencyMs]) => ({
    outcome: "passed" as const,
    latencyMs,
    ...seen,
    ...remarks,
  })),
  fc.tuple(facts, complaint, millis).map(([seen, cause, latencyMs]) => ({
    outcome: "degraded" as const,
    ...cause,
    latencyMs,
    ...seen,
  })),
  fc
    .tuple(complaint, millis)
    .map(([cause, latencyMs]) => ({ outcome: "failed" as const, ...cause, latencyMs })),
);
const report: fc.Arbitrary<ObservationReport> = fc.record(
  {
    node: fc.constantFrom({ cluster: "web", addr: "10.0.0.1:80" }, { cluster: "web", addr: "10.0.0.2:80" }),
    check: fc.constantFrom("http", "tcp"),
    observation,
    consecutive: fc.nat({ max: 3 }),
    refusals: fc.nat({ max: 1 }),
    hasProcessExited: fc.boolean(),
    isDoubt: fc.boolean(),
    takenAtMs: millis.map((age) => NOW_MS - age),
  },
  { noNullPrototype: true },
);

function send(encoder: BatchEncoder, batch: Batch): ObservationBatch {
  return fromBinary(
    ObservationBatchSchema,
    toBinary(ObservationBatchSchema, encoder.encode(batch, 0, NOW_MS)),
  );
}

/** What each check said, in its order: the order between checks is free. */
function byCheck(reports: readonly ObservationReport[]): Record<string, readonly ObservationReport[]> {
  const found: Record<string, ObservationReport[]> = {};
  for (const each of reports) (found[`${each.node.addr}#${each.check}`] ??= []).push(each);
  return found;
}

test("whatever checks see, in whatever batches, arrives in the order of each check", () => {
  fc.assert(
    fc.property(fc.array(fc.array(report, { maxLength: 12 }), { maxLength: 6 }), (batches) => {
      const encoder = new BatchEncoder();
      const reader = new ObservationReader();

      for (const [index, reports] of batches.entries()) {
        const received = reader.read(send(encoder, { sequence: index + 1, reports }), NOW_MS);

        assert.deepEqual(byCheck(received), byCheck(reports));
      }
    }),
  );
});

test("a check that sees the same again costs sixteen bytes, and the times are those of the repeat", () => {
  const encoder = new BatchEncoder();
  const reader = new ObservationReader();
  const seen = (consecutive: number, latencyMs: number): ObservationReport => ({
    node: { cluster: "web", addr: "10.0.0.1:80" },
    check: "http",
    observation: { outcome: "passed", latencyMs, facts: { status: "200" } },
    consecutive,
    refusals: 0,
    hasProcessExited: false,
    isDoubt: false,
    takenAtMs: NOW_MS - 8,
  });
  reader.read(send(encoder, { sequence: 1, reports: [seen(1, 2)] }), NOW_MS);
  const empty = toBinary(ObservationBatchSchema, encoder.encode({ sequence: 2, reports: [] }, 0, NOW_MS));

  const many = Array.from({ length: 100 }, (_, index) => seen(index + 2, 4));
  const batch = send(encoder, { sequence: 3, reports: many });

  assert.equal(batch.observations.length, 0);
  const bytes = toBinary(ObservationBatchSchema, batch).length - empty.length;
  assert.ok(bytes <= 16 * many.length, `${bytes} bytes`);
  assert.deepEqual(reader.read(batch, NOW_MS), many);
});

test("a repeat of what was never said, or of lists that do not match, is refused and names it", () => {
  const reader = new ObservationReader();
  const read = (numbers: number[], ageMs: number[]) => {
    const repeats = { numbers, latencyMs: [1], ageMs, consecutive: [1] };
    const batch = { sequence: 1n, observations: [], dropped: 0n, repeats } as unknown as ObservationBatch;
    return reader.read(batch, NOW_MS);
  };

  assert.throws(() => read([7], [1]), /number 7 is repeated, which was not said on this stream/);
  assert.throws(() => read([7, 8], [1]), /repeats are lists of 2, 1, 1, 1 entries, expected equally many/);
});
