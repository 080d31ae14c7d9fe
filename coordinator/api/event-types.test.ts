import assert from "node:assert/strict";
import { test } from "node:test";

import { isTypeOf, readEventType } from "./event-types.js";

test("readEventType() takes whole types, the part before a dot, and the seed's word", () => {
  assert.equal(readEventType("state"), "state");
  assert.equal(readEventType("agent"), "agent");
  assert.equal(readEventType("agent.lost"), "agent.lost");
  assert.equal(readEventType("changed"), "nodes");
});

test("readEventType() refuses a misspelt type, which would stay silent for ever", () => {
  for (const text of ["states", "agent.", "", "constructor"]) {
    assert.throws(() => readEventType(text), { code: "INVALID_ARGUMENT", message: /expected state, nodes/ });
  }
});

test("isTypeOf() matches whole words only", () => {
  assert.ok(isTypeOf("agent.lost", "agent"));
  assert.ok(!isTypeOf("agent.lost", "age"));
  assert.ok(!isTypeOf("nodes", "node"));
});
