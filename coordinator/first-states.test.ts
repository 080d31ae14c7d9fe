import assert from "node:assert/strict";
import { test } from "node:test";

import { VirtualClock } from "../common/virtual-clock.js";
import { fakeReplica, nodeRecord } from "../test/support/fake-replica.js";
import { firstStates } from "./first-states.js";

const LIMIT_MS = 10_000;
const KEY = "web/127.0.0.1:2";

function fixture() {
  const clock = new VirtualClock();
  const replica = fakeReplica(
    [],
    [
      nodeRecord("web", "127.0.0.1:1", { state: "healthy" }),
      nodeRecord("web", "127.0.0.1:2", { state: "unknown" }),
    ],
  );
  const stopping = new AbortController();
  const states = firstStates(replica, clock, LIMIT_MS, stopping.signal);
  let outcome: string | null = null;
  void states.then(
    (nodes) => (outcome = nodes.map(({ addr }) => addr).join(" ")),
    () => (outcome = "stopped"),
  );
  return { clock, replica, stopping, states, outcome: () => outcome };
}

test("the first states are there when the last node has its first", async () => {
  const { clock, replica, outcome } = fixture();
  await clock.advance(LIMIT_MS - 1);
  assert.equal(outcome(), null);

  replica.nodes.set(KEY, nodeRecord("web", "127.0.0.1:2", { state: "down" }));
  replica.entry({ type: "noop" } as never);
  await clock.advance(0);
  assert.equal(outcome(), "");
});

test("a node that had its state and is unknown now has had its first", async () => {
  const { clock, replica, outcome } = fixture();
  replica.nodes.set(KEY, nodeRecord("web", "127.0.0.1:2", { state: "unknown", heldState: "healthy" }));
  replica.entry({ type: "noop" } as never);
  await clock.advance(0);
  assert.equal(outcome(), "");
});

test("a node that nobody sees holds it up no longer than the limit, and is named", async () => {
  const { clock, states } = fixture();
  await clock.advance(LIMIT_MS);
  assert.deepEqual(
    (await states).map(({ addr }) => addr),
    ["127.0.0.1:2"],
  );
});

test("a coordinator that stops does not wait for them", async () => {
  const { states, stopping } = fixture();
  stopping.abort(new Error("stopped"));
  await assert.rejects(states, /stopped/);
});
