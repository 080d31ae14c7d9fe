import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AppliedSchema, ApplySchema, AssignedNodeSchema } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import { ObservationSchema } from "../../proto/gen/clusterduck/v1/model_pb.js";
import { UNUSABLE_KEY } from "../config/yaml-nodes.js";
import type { CheckConfig, JsonObject } from "../config/model.js";
import type { ScheduledNode } from "../model/assignment.js";
import type { ApplyOutcome, Bundle } from "../model/delivery.js";
import type { Observation, ObservationReport } from "../model/observation.js";
import { decodeNode, encodeNode } from "./assignment.js";
import { decodeBundle, decodeOutcome, encodeBundle, encodeOutcome } from "./bundle.js";
import { decodeReport, encodeReport } from "./observation.js";
import { fc } from "../../test/support/properties.js";

const text = (maxLength = 60) => fc.string({ unit: "grapheme", maxLength });
const name = text().filter((value) => value !== "");
const ref = fc.record({ cluster: name, addr: name });
const count = fc.integer({ min: 1, max: 0xffff_ffff });
const index = fc.maxSafeNat();
const ms = fc.double({ min: 0, max: 1e9, noNaN: true }).map((value) => value + 0);
/** Neither a Struct nor a map carries this key; the configuration refuses it everywhere (config/load.test.ts). */
const optionName = name.filter((word) => word !== UNUSABLE_KEY);
const facts = fc.dictionary(optionName, text(), { minKeys: 1, maxKeys: 5, noNullPrototype: true });
const warnings = fc.array(text(), { minLength: 1, maxLength: 3 });
const reason = fc.constantFrom("refused", "timedOut", "badStatus", "overloaded", "internal");

const observation: fc.Arbitrary<Observation> = fc.oneof(
  fc.record(
    { outcome: fc.constant("passed"), latencyMs: ms, facts, warnings },
    { requiredKeys: ["outcome", "latencyMs"] },
  ),
  fc.record(
    { outcome: fc.constant("degraded"), reason, detail: text(), latencyMs: ms, facts, warnings },
    { requiredKeys: ["outcome", "reason", "detail", "latencyMs"] },
  ),
  fc.record(
    { outcome: fc.constantFrom("failed", "inconclusive"), reason, detail: text(), latencyMs: ms, facts },
    { requiredKeys: ["outcome", "reason", "detail", "latencyMs"] },
  ),
);

const report: fc.Arbitrary<ObservationReport> = fc.record({
  node: ref,
  check: name,
  observation,
  consecutive: count,
  refusals: count,
  hasProcessExited: fc.boolean(),
  isDoubt: fc.boolean(),
  takenAtMs: fc.nat(1_000_000),
});

const check: fc.Arbitrary<CheckConfig> = fc.record({
  id: name,
  type: fc.constantFrom("basic", "info", "http", "websocket", "tcp", "grpc", "exec"),
  options: fc
    .dictionary(optionName, fc.jsonValue(), { noNullPrototype: true })
    .map((value) => JSON.parse(JSON.stringify(value)) as JsonObject)
    .filter((value) => !JSON.stringify(value).includes(JSON.stringify(UNUSABLE_KEY))),
  everyMs: ms.map((value) => value + 1),
  timeoutMs: ms.map((value) => value + 1),
  fall: count,
  rise: count,
});

test("a report survives the wire; its moment moves to the receiver's clock", () => {
  fc.assert(
    fc.property(report.map(plain), fc.nat(100_000), (before, ageMs) => {
      const init = encodeReport(before, before.takenAtMs + ageMs);

      const wire = fromBinary(
        ObservationSchema,
        toBinary(ObservationSchema, create(ObservationSchema, init)),
      );
      const after = decodeReport(wire, 5_000);

      assert.deepEqual(after, { ...before, takenAtMs: 5_000 - ageMs });
    }),
  );
});

test("a scheduled node survives the wire with all options of its checks", () => {
  const node: fc.Arbitrary<ScheduledNode> = fc.record({
    node: ref,
    epoch: index,
    clusterType: fc.constantFrom("redis", "http", "tcp", "grpc"),
    checks: fc.array(check, { maxLength: 4 }),
  });
  fc.assert(
    fc.property(node.map(plain), (before) => {
      const wire = toBinary(AssignedNodeSchema, create(AssignedNodeSchema, encodeNode(before)));

      assert.deepEqual(decodeNode(fromBinary(AssignedNodeSchema, wire)), before);
    }),
  );
});

test("a bundle and its outcome survive the wire", () => {
  const fencing = fc.record({ term: index, index });
  const bundle: fc.Arbitrary<Bundle> = fc.record({
    balancer: name,
    kind: fc.constant("haproxy"),
    generation: name,
    files: fc.array(fc.record({ role: fc.constantFrom("config", "servers"), text: text(300) }), {
      maxLength: 3,
    }),
    fencing,
    isUrgent: fc.boolean(),
  });
  const outcome: fc.Arbitrary<ApplyOutcome> = fc.record({
    balancer: name,
    wantedGeneration: text(),
    appliedGeneration: text(),
    observedGeneration: text(),
    error: text(),
    warnings: fc.array(text()),
    method: fc.constantFrom("reload", "runtime", "unchanged", "restored", "refused"),
    durationMs: ms,
    fencing,
  });
  fc.assert(
    fc.property(bundle.map(plain), outcome.map(plain), (bundleBefore, outcomeBefore) => {
      const apply = toBinary(ApplySchema, create(ApplySchema, encodeBundle(bundleBefore)));
      const applied = toBinary(AppliedSchema, create(AppliedSchema, encodeOutcome(outcomeBefore)));

      assert.deepEqual(decodeBundle(fromBinary(ApplySchema, apply)), bundleBefore);
      assert.deepEqual(decodeOutcome(fromBinary(AppliedSchema, applied)), outcomeBefore);
    }),
  );
});

test("a long error text is cut to 512 characters", () => {
  const failed: ObservationReport = {
    node: { cluster: "web", addr: "h:1" },
    check: "http",
    observation: { outcome: "failed", reason: "badBody", detail: "x".repeat(5_000), latencyMs: 1 },
    consecutive: 1,
    refusals: 0,
    hasProcessExited: false,
    isDoubt: false,
    takenAtMs: 0,
  };

  assert.equal(encodeReport(failed, 0).detail?.length, 512);
});

test("a reason that only a newer program knows still counts as a failure", () => {
  const wire = create(ObservationSchema, {
    node: { cluster: "web", addr: "h:1" },
    check: "http",
    outcome: 3,
    reason: "quantumNoise",
    detail: "spooky",
  });

  const { observation } = decodeReport(wire, 0);

  assert.deepEqual(observation, {
    outcome: "failed",
    reason: "internal",
    detail: "quantumNoise: spooky",
    latencyMs: 0,
  });
});

test("what no program of ours sends is refused with the place and the value", () => {
  const good = { node: { cluster: "web", addr: "h:1" }, check: "http", outcome: 1 };
  const decode = (change: object) => () => decodeReport(create(ObservationSchema, { ...good, ...change }), 0);

  assert.throws(decode({ node: undefined }), { code: "INVALID_ARGUMENT", message: /node is missing/ });
  assert.throws(decode({ node: { cluster: "web", addr: "x".repeat(600) } }), /address has 600 characters/);
  assert.throws(decode({ outcome: 0 }), /outcome is 0, expected 1 to 4/);
  assert.throws(decode({ ageMs: -5 }), /age is -5/);
  assert.throws(decode({ latencyMs: Number.NaN }), /latency is NaN/);
  const assigned = { node: good.node, clusterType: "http", checks: [{ id: "a", type: "tcp", everyMs: 0 }] };
  assert.throws(() => decodeNode(create(AssignedNodeSchema, assigned)), /every of check "a" is 0 ms/);
  const bundle = {
    balancer: "b",
    kind: "haproxy",
    generation: "g",
    files: [{ role: "config", content: Buffer.from([0xff]) }],
  };
  assert.throws(() => decodeBundle(create(ApplySchema, bundle)), /not UTF-8/);
});

/** fast-check's records have no prototype, ours have one, and deepEqual sees that. */
function plain<T>(value: T): T {
  return structuredClone(value);
}
