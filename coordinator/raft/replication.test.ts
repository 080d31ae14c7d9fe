/** What a leader sends its peers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Tier } from "../../test/support/raft/tier.js";
import type { RaftConfig } from "./config.js";
import { InvariantViolation } from "./invariant.js";
import type { Append, Message } from "./message.js";

test("an append holds as many entries as fit, and several follow each other", () => {
  const tier = led({ maxAppendBytes: 100, maxInflightMessages: 10 });

  tier.propose("a", "x".repeat(10), "y".repeat(10), "z".repeat(10));

  assert.deepEqual(
    appends(tier).map(({ previous, entries }) => [previous.index, entries.length]),
    [
      [1, 2],
      [3, 1],
    ],
  );
});

test("proposals between two calls of ready() travel together", () => {
  const tier = led({});
  tier.at("a", (core) => {
    for (let count = 0; count < 10; count++) core.propose([new Uint8Array(1)]);
  });

  assert.deepEqual(
    appends(tier).map(({ entries }) => entries.length),
    [10],
  );
});

test("no more goes out than may be on its way, in messages", () => {
  const tier = led({ maxInflightMessages: 2 });

  for (let count = 0; count < 5; count++) tier.propose("a", "x");

  assert.equal(appends(tier).length, 2);
  tier.settle();
  assert.equal(tier.core("b").last.index, 6);
});

test("no more goes out than may be on its way, in bytes", () => {
  const tier = led({ maxInflightBytes: 100 });

  for (let count = 0; count < 5; count++) tier.propose("a", "x".repeat(30));

  assert.equal(appends(tier).length, 2);
});

test("a peer that is full is checked with an append without entries", () => {
  const tier = led({ maxInflightMessages: 1 });
  tier.propose("a", "x");
  tier.propose("a", "y");
  tier.drop();

  tier.tick(["a"], 1);
  tier.deliver(({ kind }) => kind === "heartbeat");
  tier.deliver(({ kind }) => kind === "heartbeatReply");

  assert.deepEqual(
    appends(tier).map(({ previous, entries }) => [previous.index, entries.length]),
    [[2, 0]],
  );
  tier.settle();
  assert.equal(tier.core("b").commit, 3);
});

test("a peer that is not there is not talked to but by heartbeats", () => {
  const tier = led({});
  tier.crash("b");
  tier.at("a", (core) => core.reportUnreachable("b"));
  tier.propose("a", "x");
  tier.settle();
  tier.tick(["a"], 5);

  assert.deepEqual([...new Set(tier.queue.map(({ kind }) => kind))], ["heartbeat"]);
});

test("a peer that acknowledges more than the leader has stops the leader", () => {
  const tier = led({});

  const acknowledge = () =>
    tier.give({ from: "b", to: "a", term: 1, kind: "appendReply", isAccepted: true, match: 9 });

  assert.throws(acknowledge, InvariantViolation);
});

test("a peer that needs a snapshot gets one, and no second while the first is under way", () => {
  const tier = led({});
  tier.isolate("b");
  tier.at("a", (core) => core.reportUnreachable("b"));
  tier.drop();
  // c makes the quorum without which nothing could be compacted.
  tier.propose("a", "x");
  tier.settle();
  tier.member("a").snapshot(0);
  tier.heal();
  tier.tick(["a"], 1);
  tier.deliver(({ kind }) => kind === "heartbeat");
  tier.deliver(({ kind }) => kind === "heartbeatReply");
  const sent: Message[] = [];
  for (let count = 0; count < 3; count++) {
    sent.push(...tier.queue.filter(({ kind }) => kind === "installSnapshot"));
    tier.deliver(({ kind }) => kind !== "installSnapshot");
    tier.tick(["a"], 1);
  }

  assert.equal(new Set(sent).size, 1);
  tier.settle();
  assert.equal(tier.core("b").base.index, 2);
});

test("after a snapshot was sent the peer gets the entries behind it, not the snapshot again", () => {
  const tier = led({});
  tier.isolate("b");
  tier.at("a", (core) => core.reportUnreachable("b"));
  tier.propose("a", "x");
  tier.settle();
  tier.member("a").snapshot(0);
  tier.propose("a", "y");
  tier.settle();
  tier.heal();
  tier.member("b").isDiskSlow = true;

  tier.pass(3);
  const again = tier.queue.filter(({ kind }) => kind === "installSnapshot");
  tier.member("b").isDiskSlow = false;
  tier.member("b").persist();
  tier.settle();

  assert.deepEqual(again, []);
  assert.deepEqual(tier.terms("b"), [1]);
});

/** a leads b and c. */
function led(config: Partial<RaftConfig>): Tier {
  const tier = new Tier({ voters: ["a", "b", "c"], config });
  tier.elect("a");
  return tier;
}

/** To b. */
function appends(tier: Tier): readonly Append[] {
  return tier.queue.filter((message) => message.kind === "append").filter(({ to }) => to === "b");
}
