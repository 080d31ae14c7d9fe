import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterOf } from "../../test/support/cluster-config.js";
import { MAX_REQUESTS, REQUESTS_KEPT_MS } from "./bounds.js";
import { encodeCommand } from "./codec.js";
import type { Command } from "./commands.js";
import { StateMachine } from "./machine.js";

const node = { cluster: "web", addr: "10.0.0.1:80" };
const add: Command = { type: "addNode", node, attributes: {}, isIdempotent: false };
const remove: Command = { type: "removeNode", node, reason: "" };

test("an answer is remembered with what was made of the node, also after the node is gone and over a snapshot", () => {
  const { machine, propose } = tier();
  const first = propose(add, "r1");
  propose(remove, "r2");

  const restored = StateMachine.restore(machine.snapshot());

  const { index, node: made, result } = restored.view.requests.get("r1") ?? {};
  assert.deepEqual([index, made?.addr, result], [first.position.index, node.addr, { isAccepted: true }]);
  assert.deepEqual(restored.snapshot(), machine.snapshot());
  assert.equal(propose(add, "r1").result.isAccepted, true);
  assert.equal(machine.view.nodes.size, 0);
});

test("attributes are not kept with every answer: thousands of them would fill memory and snapshots", () => {
  const { machine, propose } = tier();
  const attributes = { note: "x".repeat(10_000) };
  for (let at = 0; at < 20; at++) {
    propose({ ...add, attributes }, `add-${at}`);
    propose(remove, `remove-${at}`);
  }

  assert.ok(machine.snapshot().length < 30_000, `${machine.snapshot().length} bytes`);
});

test("a refusal is an answer, too: what was refused once is not done by asking again", () => {
  const { machine, propose } = tier();
  const refusal = propose(remove, "r1").result;
  propose(add);

  assert.equal(refusal.isAccepted, false);
  assert.deepEqual(propose(remove, "r1").result, refusal);
  assert.equal(machine.view.nodes.size, 1);
});

test("one id for two changes is refused in words, and the first keeps its answer", () => {
  const { propose } = tier();
  const { position } = propose(add, "r1");

  assert.deepEqual(propose(remove, "r1").result, {
    isAccepted: false,
    code: "CONFLICT",
    message: `Request id "r1" belongs to another change (addNode at index ${position.index}): every change needs its own`,
  });
  assert.equal(propose(add, "r1").result.isAccepted, true);
});

test("a request that is closed before it was made comes too late; one that was made keeps its answer", () => {
  const { machine, propose } = tier();
  propose(add);
  propose({ type: "closeRequest" }, "r1");

  assert.match(JSON.stringify(propose(remove, "r1").result), /"CONFLICT".*was refused already/);
  assert.equal(machine.view.nodes.size, 1);

  propose(remove, "r2");
  propose({ type: "closeRequest" }, "r2");
  assert.equal(propose(remove, "r2").result.isAccepted, true);
});

test("answers are kept for their time by the log's stamps, and no longer", () => {
  const { machine, propose } = tier();
  propose(add, "r1", 0);
  propose(remove, "r2", REQUESTS_KEPT_MS - 1);
  assert.equal(machine.view.requests.has("r1"), true);
  // A stamp that lies in the past makes nobody younger.
  propose(remove, "r3", 1);
  propose(remove, "r4", REQUESTS_KEPT_MS);

  assert.deepEqual([...machine.view.requests.keys()], ["r2", "r3", "r4"]);
});

test("there are never more answers than the bound, and the oldest go first", () => {
  const { machine, propose } = tier();
  for (let at = 0; at <= MAX_REQUESTS; at++) propose(remove, `r${at}`);

  const { requests } = machine.view;
  assert.deepEqual([requests.size, requests.has("r0"), requests.has("r1")], [MAX_REQUESTS, false, true]);
});

function tier() {
  const machine = new StateMachine();
  const propose = (command: Command, requestId?: string, afterMs = 0) => {
    const stamped = { atMs: 1_000_000 + afterMs, by: "test", command };
    const payload = encodeCommand(requestId === undefined ? stamped : { ...stamped, requestId });
    return machine.apply({ index: machine.view.index + 1, term: 1, payload });
  };
  const config = { clusters: { web: clusterOf({ name: "web" }) }, balancers: {} };
  propose({ type: "applyConfig", config, yaml: "", source: "file", fileHash: "", ifRevision: null });
  return { machine, propose };
}
