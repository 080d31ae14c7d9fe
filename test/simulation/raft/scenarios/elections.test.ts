/** Bugs of other implementations that made two leaders, or the wrong one. Each is a test with the bug's name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Tier } from "../../../support/raft/tier.js";
import { at, awaitLeader, command, from, kinds, leaders, led } from "./steps.js";

test("hashicorp-raft-695: a term that arrives while the leader writes does not get into its entries", () => {
  const tier = led();
  tier.member("a").isDiskSlow = true;
  tier.propose("a", "x");

  tier.give(from("c", "a", 5, { kind: "heartbeatReply", round: 0, commit: 0 }));
  tier.member("a").persist();
  const appends = tier.queue.filter((message) => message.from === "a" && message.kind === "append");

  assert.deepEqual(leaders(tier), []);
  assert.equal(tier.core("a").termAt(2), 1);
  assert.ok(appends.length > 0 && appends.every((message) => message.term === 1));
});

test("eliben-raft-13: a retired leader sends nothing under the term that it has just learned", () => {
  const tier = led();

  tier.give(from("c", "a", 5, { kind: "heartbeatReply", round: 0, commit: 0 }));
  tier.tick(["a"], 5);

  assert.equal(tier.core("a").term, 5);
  assert.deepEqual(
    tier.queue.filter((message) => message.from === "a" && /heartbeat$|append$/.test(message.kind)),
    [],
  );
});

test("nodedb-161: a vote leaves after it is saved, and a restart remembers it", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.member("b").isDiskSlow = true;
  const ask = (candidate: string): boolean =>
    tier.give(from(candidate, "b", 1, { kind: "vote", last: at(0, 0), isTransfer: false }));

  ask("a");
  assert.equal(tier.queue.length, 0);
  tier.member("b").persist();
  assert.deepEqual(kinds(tier.drop()), ["voteReply"]);
  tier.crash("b");
  tier.restart("b");
  ask("c");

  assert.deepEqual(
    tier.queue.map((message) => message.kind === "voteReply" && message.isGranted),
    [false],
  );
});

test("nodedb-161: a vote that was not saved before the crash was never told to anybody", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.member("b").isDiskSlow = true;

  tier.give(from("a", "b", 1, { kind: "vote", last: at(0, 0), isTransfer: false }));
  tier.crash("b");

  assert.deepEqual(tier.queue, []);
});

test("canonical-raft-386: two leaders of one term cannot be, and whoever met them would stop", () => {
  const tier = led();
  tier.crash("b");
  tier.restart("b");

  tier.give(from("c", "b", 1, { kind: "vote", last: at(9, 1), isTransfer: false }));
  assert.deepEqual(
    tier.queue.map((message) => message.kind === "voteReply" && message.isGranted),
    [false],
  );
  tier.give(from("a", "b", 1, { kind: "heartbeat", round: 0 }));

  assert.throws(() => tier.give(from("c", "b", 1, { kind: "heartbeat", round: 0 })), /two leaders/);
});

test("databend-16175: a higher term that a vote's reply brings is no vote", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.at("a", (core) => core.campaign());
  tier.drop();
  tier.give(from("b", "a", 0, { kind: "preVoteReply", askedTerm: 0, isGranted: true }));
  assert.equal(tier.core("a").role, "candidate");

  tier.give(from("b", "a", 5, { kind: "voteReply", isGranted: true }));

  assert.deepEqual([tier.core("a").role, tier.core("a").term], ["follower", 5]);
});

test("nuraft-185: a candidate with a stale log is not elected, and nothing committed is rolled back", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.given("a", 9, [1, 1]);
  tier.given("b", 2, [1, 1, 2]);
  tier.given("c", 2, [1, 1, 2]);

  tier.at("a", (core) => core.campaign());
  tier.settle();
  const leader = awaitLeader(tier, 60);
  tier.pass(5);

  assert.notEqual(leader, "a");
  assert.deepEqual(tier.terms("a").slice(0, 3), [1, 1, 2]);
});

test("tikv-9579: a member that knows no tier has no vote to give", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.start("d");

  tier.give(from("a", "d", 7, { kind: "preVote", last: at(9, 6) }));
  tier.give(from("a", "d", 7, { kind: "vote", last: at(9, 6), isTransfer: false }));

  assert.deepEqual(tier.queue, []);
  assert.equal(tier.core("d").status().vote, null);
});

test("tikv-9579: votes count by the candidate's own members, each once", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.at("a", (core) => core.campaign());
  tier.drop();
  tier.give(from("b", "a", 0, { kind: "preVoteReply", askedTerm: 0, isGranted: true }));

  for (const stranger of ["d", "e", "f"])
    tier.give(from(stranger, "a", 1, { kind: "voteReply", isGranted: true }));

  assert.equal(tier.core("a").role, "candidate");
});

test("dragonboat-256: a wiped member that returns under its old id cannot vote its memory away", () => {
  const tier = led();
  tier.isolate("b");
  tier.propose("a", "x");
  tier.settle();
  assert.equal(tier.core("a").commit, 2);

  tier.member("c").wipe([]);
  tier.crash("a");
  tier.heal();
  tier.pass(100);

  assert.deepEqual(leaders(tier), []);
  tier.restart("a");
  assert.notEqual(awaitLeader(tier, 60), null);
  assert.equal(tier.core("a").termAt(2), 1);
});

test("nebula-2419: the same candidate gets the same vote again, for the answer may be lost", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  const ask = from("a", "b", 1, { kind: "vote", last: at(0, 0), isTransfer: false });

  tier.give(ask);
  tier.drop();
  tier.give(ask);

  assert.deepEqual(
    tier.queue.map((message) => message.kind === "voteReply" && message.isGranted),
    [true],
  );
});

test("etcd-8243: a member of a lower term with a longer log is told the term, and somebody is elected", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.given("a", 6, [1, 1], "c");
  tier.given("b", 5, [1, 1, 5, 5]);
  tier.crash("c");

  const leader = awaitLeader(tier, 100);

  assert.equal(leader, "b");
});

test("etcd-8501: one that reached a high term without asking first does not keep the others from electing", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.given("a", 5, [1, 5]);
  tier.given("b", 5, [1, 5]);
  tier.given("c", 40, [1]);

  const leader = awaitLeader(tier, 100);
  tier.pass(20);

  assert.ok(leader === "a" || leader === "b");
  assert.deepEqual(leaders(tier).length, 1);
  assert.ok(tier.members.every(({ core }) => core.commit === tier.core(leader).last.index));
});

test("openraft-1796: a long log of a low term and a short one of a high term do not block each other", () => {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.given("a", 2, [1, 2, 2, 2, 2]);
  tier.given("b", 3, [1, 3]);
  tier.crash("c");

  const leader = awaitLeader(tier, 100);

  assert.equal(leader, "b");
});

test("openraft-2080: an old leader that reaches only one member does not hold up a connected quorum", () => {
  const tier = led({}, ["a", "b", "c", "d", "e"]);
  for (const other of ["c", "d", "e"]) tier.cut("a", other);

  const leader = awaitLeader(tier, 100, (id) => id !== "a");
  assert.ok(leader !== null);
  tier.propose(leader, "x");
  tier.pass(3);

  assert.equal(tier.core(leader).commit, tier.core(leader).last.index);
});

test("redpanda-30815: a rejected append shows that the leader is there", () => {
  const tier = led();
  for (let tick = 0; tick < 60; tick++) {
    tier.tick(["c"]);
    tier.give(
      from("a", "c", 1, { kind: "append", previous: at(50, 1), entries: [command(51, 1)], commit: 1 }),
    );
  }

  assert.equal(tier.core("c").role, "follower");
  assert.deepEqual([...new Set(kinds(tier.queue))], ["appendReply"]);
});
