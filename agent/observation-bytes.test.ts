import assert from "node:assert/strict";
import { test } from "node:test";
import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConnectRequestSchema, ObservationBatchSchema } from "../proto/gen/clusterduck/v1/agent_pb.js";
import { NodeRefSchema, ObservationSchema } from "../proto/gen/clusterduck/v1/model_pb.js";
import { fc } from "../test/support/properties.js";
import { encodeBatch } from "./observation-bytes.js";

const text = fc.oneof(fc.constantFrom("", "ключ", "a".repeat(200)), fc.string({ unit: "grapheme" }));
const uint32 = fc.nat({ max: 2 ** 32 - 1 });
const double = fc.double({ noNaN: true });
const observation = fc.record({
  node: fc.record({ cluster: text, addr: text }),
  check: text,
  outcome: fc.integer({ min: 0, max: 4 }),
  reason: text,
  detail: fc.oneof(text, fc.constant("é".repeat(3_000))),
  latencyMs: double,
  ageMs: double,
  consecutive: uint32,
  refusals: uint32,
  processExited: fc.boolean(),
  // The library itself loses an entry of that name.
  attributes: fc.dictionary(
    text.filter((name) => name !== "__proto__"),
    text,
    { maxKeys: 4, noNullPrototype: true },
  ),
  warnings: fc.array(text, { maxLength: 3 }),
  isDoubt: fc.boolean(),
  number: uint32,
});
const float = fc.float({ noNaN: true });
const repeats = fc.array(fc.tuple(uint32, float, float, uint32), { maxLength: 4 }).map((rows) => ({
  numbers: rows.map(([number]) => number),
  latencyMs: rows.map(([, latencyMs]) => latencyMs),
  ageMs: rows.map(([, , ageMs]) => ageMs),
  consecutive: rows.map(([, , , consecutive]) => consecutive),
}));

test("a batch reads back as if the library had encoded all of it", () => {
  fc.assert(
    fc.property(
      fc.array(observation, { maxLength: 4 }),
      repeats,
      fc.nat(),
      (observations, again, sequence) => {
        const wanted = create(ConnectRequestSchema, {
          message: {
            case: "observations",
            value: {
              sequence: BigInt(sequence),
              dropped: 3n,
              observations,
              ...(again.numbers.length === 0 ? {} : { repeats: again }),
            },
          },
        });
        const sent = create(ConnectRequestSchema, {
          message: {
            case: "observations",
            value: encodeBatch({ sequence, dropped: 3, observations, repeats: again }),
          },
        });

        const received = fromBinary(ConnectRequestSchema, toBinary(ConnectRequestSchema, sent));

        assert.ok(equals(ConnectRequestSchema, received, wanted));
      },
    ),
  );
});

test("the fields are those that are written: who adds one adds it there as well", () => {
  const numbers = (desc: typeof ObservationSchema | typeof NodeRefSchema | typeof ObservationBatchSchema) =>
    desc.fields.map((field) => field.number);

  assert.deepEqual(numbers(ObservationSchema), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  assert.deepEqual(numbers(NodeRefSchema), [1, 2]);
  assert.deepEqual(numbers(ObservationBatchSchema), [1, 2, 3, 4]);
});
