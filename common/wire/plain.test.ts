import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectRequestSchema } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import {
  EventSchema,
  NodeSchema,
  RunSchema,
  SaveSnapshotResponseSchema,
} from "../../proto/gen/clusterduck/v1/control_pb.js";
import { NodeState, NodeStateSchema, OutcomeSchema } from "../../proto/gen/clusterduck/v1/model_pb.js";
import { enumFromWord, enumWord } from "./enums.js";
import { toPlain } from "./plain.js";

test("toPlain() writes words, numbers, times and plain JSON, and leaves no field out", () => {
  const node = create(NodeSchema, {
    cluster: "web",
    state: NodeState.HEALTHY,
    since: timestampFromMs(1_700_000_000_123),
    cutIndex: 42n,
    attributes: { weight: 3, backup: true },
    facts: { role: "master" },
  });

  assert.deepEqual(toPlain(NodeSchema, node), {
    cluster: "web",
    addr: "",
    state: "healthy",
    cause: "",
    since: "2023-11-14T22:13:20.123Z",
    cutIndex: 42,
    active: false,
    overlay: "",
    overlayReason: "",
    overlayUntil: null,
    source: "",
    attributes: { weight: 3, backup: true },
    facts: { role: "master" },
    warnings: [],
    latencyMs: 0,
    agent: "",
  });
});

test("toPlain() keeps integers beyond 2^53 exact, as text", () => {
  const event = create(EventSchema, { index: 2n ** 53n + 1n, data: { a: [1, null, { b: "c" }] } });

  const plain = toPlain(EventSchema, event);

  assert.equal(plain["index"], "9007199254740993");
  assert.deepEqual(plain["data"], { a: [1, null, { b: "c" }] });
});

test("toPlain() tells an absent optional value from zero, and writes bytes in base64", () => {
  assert.equal(toPlain(RunSchema, create(RunSchema))["exitCode"], null);
  assert.equal(toPlain(RunSchema, create(RunSchema, { exitCode: 0 }))["exitCode"], 0);
  const chunk = create(SaveSnapshotResponseSchema, { chunk: new Uint8Array([1, 2, 3]) });
  assert.deepEqual(toPlain(SaveSnapshotResponseSchema, chunk), { chunk: "AQID" });
});

test("toPlain() shows of a oneof only the member that is set", () => {
  const request = create(ConnectRequestSchema, { message: { case: "heartbeat", value: { sequence: 1n } } });

  assert.deepEqual(Object.keys(toPlain(ConnectRequestSchema, request)), ["heartbeat"]);
  assert.deepEqual(toPlain(ConnectRequestSchema, create(ConnectRequestSchema)), {});
});

test("enum words go both ways, and an unknown word is answered with those that would work", () => {
  for (const { number } of NodeStateSchema.values) {
    assert.equal(enumFromWord(NodeStateSchema, enumWord(NodeStateSchema, number)), number);
  }
  assert.equal(enumWord(NodeStateSchema, 99), "99");
  assert.throws(() => enumFromWord(OutcomeSchema, "fine"), {
    code: "INVALID_ARGUMENT",
    message: /"fine": expected passed, degraded, failed, inconclusive/,
  });
});
