/** Bugs of other implementations that lost or forked entries. Each is a test with the bug's name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Tier } from "../../../support/raft/tier.js";
import { applied, at, awaitLeader, command, forget, from, leaders, led } from "./steps.js";

test("logcabin-44: an entry of an earlier term is not committed by counting (figure 8)", () => {
  const tier = new Tier({ voters: ["a", "b", "c", "d", "e"], config: { maxAppendBytes: 1 } });
  tier.given("a", 3, [1, 2]);
  tier.given("b", 2, [1, 2]);
  tier.given("c", 1, [1]);
  tier.given("d", 1, [1]);
  tier.given("e", 3, [1, 3]);
  tier.crash("e");
  tier.at("a", (core) => core.campaign());

  // Everything but the entry that opens the leader's own term gets through.
  for (let round = 0; round < 60; round++) {
    tier.drop(
      (message) =>
        message.kind === "append" &&
        tier.core(message.to).termAt(2) === 2 &&
        message.entries.some(({ index }) => index > 2),
    );
    tier.deliver();
    if (round % 6 === 5) tier.tick(["a"]);
  }
  assert.deepEqual(leaders(tier), ["a"]);
  const holders = ["a", "b", "c", "d"].filter((id) => tier.core(id).termAt(2) === 2);
  assert.ok(holders.length >= 3, holders.join());
  assert.ok(tier.core("a").commit < 2, `commit ${tier.core("a").commit}`);
  tier.pass(3);

  assert.equal(tier.core("a").commit, 3);
});

test("etcd-14370: a single member acknowledges after its own sync", () => {
  const tier = new Tier({ voters: ["a"] });
  assert.deepEqual(leaders(tier), ["a"]);
  tier.member("a").isDiskSlow = true;
  forget(tier);

  tier.propose("a", "x");
  assert.equal(tier.core("a").commit, 1);
  assert.deepEqual(applied(tier, "a"), []);
  tier.member("a").persist();

  assert.deepEqual(applied(tier, "a"), ["x"]);
});

test("etcd-1690: a late report of a write does not mark the entries durable that took its entries' place", () => {
  const tier = led();
  tier.isolate("a");
  tier.member("a").isDiskSlow = true;
  tier.propose("a", "x", "y", "z");
  tier.tick(["b", "c"], 12);
  tier.settle();
  tier.propose("b", "p");
  tier.settle();
  tier.heal();
  tier.tick(["b"]);
  tier.settle();
  assert.deepEqual(tier.terms("a"), [1, 2, 2]);
  forget(tier);

  tier.member("a").persist();

  assert.ok(tier.core("a").status().persisted <= 1, `${tier.core("a").status().persisted}`);
  assert.deepEqual(applied(tier, "a"), []);
  tier.member("a").persist();
  tier.pass(2);
  assert.deepEqual(applied(tier, "a"), ["p"]);
});

test("canonical-raft-320: while a write is not durable its index and term go to no other entry", () => {
  const tier = led();
  tier.member("a").isDiskSlow = true;

  const first = tier.propose("a", "x");
  const second = tier.propose("a", "y");

  assert.deepEqual(first, { isAccepted: true, first: at(2, 1) });
  assert.deepEqual(second, { isAccepted: true, first: at(3, 1) });
  assert.deepEqual(
    tier.member("a").disk.entries.map(({ index }) => index),
    [1],
  );
});

test("scylladb-9965: a follower commits nothing beyond what the message has verified", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.given("c", 1, [1, 1, 1]);

  tier.give(from("a", "c", 2, { kind: "append", previous: at(1, 1), entries: [], commit: 3 }));

  assert.equal(tier.core("c").commit, 1);
});

test("ra-508: an ex-leader acknowledges and commits only what it has compared with the new leader's log", () => {
  const tier = led();
  tier.isolate("a");
  tier.propose("a", "x", "y");
  tier.drop();

  tier.give(from("b", "a", 2, { kind: "heartbeat", round: 0 }));
  tier.heal();
  tier.give(from("b", "a", 2, { kind: "append", previous: at(1, 1), entries: [], commit: 3 }));

  assert.equal(tier.core("a").commit, 1);
  const replies = tier.queue.filter((message) => message.kind === "appendReply");
  assert.deepEqual(
    replies.map((message) => message.isAccepted && message.match),
    [1],
  );
});

test("ccf-5674: an old, shorter append cuts off nothing that it agrees with", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.given("a", 1, [1, 1, 1, 1]);

  tier.give(from("b", "a", 2, { kind: "append", previous: at(1, 1), entries: [command(2, 1)], commit: 0 }));

  assert.deepEqual(tier.terms("a"), [1, 1, 1, 1]);
});

test("camunda-6092: an old snapshot leaves the newer entries behind it", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  const membership = tier.founders;
  tier.given("b", 1, [1, 1, 1, 1, 1]);

  tier.give(from("a", "b", 1, { kind: "installSnapshot", last: at(3, 1), membership }));

  assert.deepEqual(tier.terms("b"), [1, 1, 1, 1, 1]);
  assert.equal(tier.core("b").commit, 3);
});

test("yugabyte-32876: entries that are known already do not hide a conflict behind them", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.given("c", 1, [1, 1, 1, 1]);

  const entries = [command(2, 1), command(3, 2)];
  tier.give(from("a", "c", 2, { kind: "append", previous: at(1, 1), entries, commit: 0 }));

  assert.deepEqual(tier.terms("c"), [1, 1, 2]);
});

test("hashicorp-raft-697: a snapshot takes the place of a conflicting log, and is sent once", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  for (const id of ["a", "c"]) tier.given(id, 2, [1, 2, 2, 2]);
  tier.given("b", 1, [1, 1, 1, 1, 1, 1, 1]);
  tier.isolate("b");
  tier.elect("a");
  tier.pass(2);
  tier.member("a").snapshot(0);
  tier.heal();

  const sent: string[] = [];
  for (let tick = 0; tick < 30; tick++) {
    tier.tick(["a", "b", "c"]);
    sent.push(...tier.settle().map(({ kind }) => kind));
  }

  assert.equal(sent.filter((kind) => kind === "installSnapshot").length, 1);
  assert.deepEqual(tier.core("b").last, tier.core("a").last);
  assert.equal(tier.core("b").commit, tier.core("a").commit);
});

test("camunda-10202: after a snapshot from the leader the log goes on behind it, whatever it held", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  for (const id of ["a", "c"]) tier.given(id, 2, [1, 2, 2, 2, 2, 2]);
  tier.given("b", 1, [1, 1]);
  tier.isolate("b");
  tier.elect("a");
  tier.pass(2);
  tier.member("a").snapshot(0);
  tier.heal();
  tier.pass(5);
  tier.propose("a", "x");
  tier.pass(2);

  assert.equal(tier.core("b").base.index, 7);
  assert.deepEqual(
    tier.member("b").disk.entries.map(({ index }) => index),
    [8],
  );
  tier.crash("b");
  tier.restart("b");
  assert.equal(tier.core("b").last.index, 8);
});

test("openraft-1246: a single member that restarts applies again what was committed", () => {
  const tier = new Tier({ voters: ["a"] });
  tier.propose("a", "x");
  tier.propose("a", "y");
  assert.deepEqual(applied(tier, "a"), ["x", "y"]);

  tier.crash("a");
  tier.restart("a");
  tier.pass(2);

  assert.deepEqual(applied(tier, "a"), ["x", "y"]);
});

test("hashicorp-raft-503: a leader whose disk hangs gives way, although its heartbeats would go on", () => {
  const tier = led();
  tier.member("a").isDiskSlow = true;
  tier.propose("a", "x");
  tier.settle();

  const leader = awaitLeader(tier, 100, (id) => id !== "a");

  assert.ok(leader !== null);
  assert.deepEqual(leaders(tier), [leader]);
  tier.propose(leader, "y");
  tier.pass(2);
  assert.equal(tier.core(leader).commit, tier.core(leader).last.index);
});

test("hashicorp-raft-503: a follower whose disk hangs is no part of the quorum that keeps a leader", () => {
  const tier = led({}, ["a", "b", "c", "d", "e"]);
  // With b and c the leader reaches a quorum, but c can write nothing: b, d and e could, if b let them.
  for (const other of ["d", "e"]) tier.cut("a", other);
  tier.member("c").isDiskSlow = true;
  tier.propose("a", "x");

  const leader = awaitLeader(tier, 200, (id) => id !== "a");
  assert.ok(leader !== null);
  tier.propose(leader, "y");
  tier.pass(3);

  assert.equal(tier.core(leader).commit, tier.core(leader).last.index);
});
