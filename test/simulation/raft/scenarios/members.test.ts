/** Bugs of other implementations around members, transfers, reads and forwarding. Each is a test with the bug's name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { voterIds } from "../../../../coordinator/raft/membership.js";
import type { MembershipChange } from "../../../../coordinator/raft/membership.js";
import { Tier as HandledTier } from "../../../support/raft/tier.js";
import { Tier } from "../tier.js";
import { awaitLeader, forget, kinds, leaders, led } from "./steps.js";

const READ = { client: "r", sequence: 1 };

test("hydro-3192: a second removal waits until the first is committed", () => {
  const tier = led({}, ["a", "b", "c", "d"]);
  const change = (id: string): unknown =>
    tier.at("a", (core) => {
      const result = core.proposeMembership({ kind: "remove", id });
      return result.isAccepted ? "accepted" : result.reason;
    });

  assert.equal(change("d"), "accepted");
  assert.equal(change("c"), "changeInProgress");
  tier.settle();

  assert.equal(change("c"), "accepted");
});

test("redisraft-44: under a partition two halves do not both change the members and lead", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const tier = new Tier({ seed, members: 4, lazyMs: 2 });
    tier.startClients(2, 20);
    tier.runUntil(() => tier.leader() !== undefined, 3_000, "a leader is elected");
    const leader = tier.leader();
    const friend = tier.ids.find((id) => id !== leader?.id) ?? "";
    const half = [leader?.id ?? "", friend];
    const others = tier.ids.filter((id) => !half.includes(id));
    for (const one of half)
      for (const other of others) {
        tier.network.cut(one, other);
        tier.network.cut(other, one);
      }

    const changes: readonly MembershipChange[] = others.map((id) => ({ kind: "remove", id }));
    for (const change of changes) {
      leader?.ask("removes", (core) => core.proposeMembership(change));
      tier.run(30);
    }
    tier.run(500);
    for (const member of tier.members.values())
      member.ask("removes", (core) => core.proposeMembership({ kind: "remove", id: friend }));
    tier.run(1_000);
    tier.heal();
    for (const client of tier.clients) client.stop();

    // The observer has watched every step: one leader a term, one log.
    tier.runUntil(() => tier.isSettled(), 5_000, "all members recover");
    const ids = tier.leader()?.core?.membership.map(({ id }) => id) ?? [];
    assert.equal(new Set(ids.map((id) => tier.member(id).machine.digest())).size, 1, `seed ${seed}`);
  }
});

test("etcd-12359: an own removal that is in no other log does not keep its author from campaigning", () => {
  const tier = new HandledTier({ voters: ["a", "b"] });
  tier.elect("a");
  tier.pass(2);
  tier.isolate("a");
  tier.at("a", (core) => core.proposeMembership({ kind: "remove", id: "a" }));
  tier.drop();
  tier.pass(15);
  assert.deepEqual(leaders(tier), []);
  tier.heal();

  const leader = awaitLeader(tier, 200);
  tier.pass(60);

  assert.notEqual(leader, null);
  assert.deepEqual(leaders(tier), ["b"]);
  assert.deepEqual(voterIds(tier.core("b").membership), ["b"]);
});

test("hashicorp-raft-696: an interrupted transfer leaves no flag behind that refuses proposals", () => {
  const tier = led();
  tier.isolate("b");
  tier.at("a", (core) => core.transferLeadership("b"));
  assert.deepEqual(tier.propose("a", "x"), { isAccepted: false, reason: "transferring" });

  tier.pass(10);

  assert.equal(tier.propose("a", "x").isAccepted, true);
});

test("redisraft-18: after a restart of all, a read waits for an entry of the leader's own term", () => {
  const tier = led();
  tier.propose("a", "x");
  tier.pass(2);
  for (const id of ["a", "b", "c"]) tier.crash(id);
  for (const id of ["a", "b", "c"]) {
    tier.member(id).disk.hardState = { ...tier.member(id).disk.hardState, commit: 0 };
    tier.restart(id);
  }
  tier.at("b", (core) => core.campaign());
  while (tier.core("b").role !== "leader") tier.deliver();
  forget(tier);

  tier.at("b", (core) => core.readIndex(READ));
  tier.settle();

  const reads = tier
    .member("b")
    .takeHappenings()
    .filter(({ kind }) => kind === "read");
  assert.deepEqual(reads, [{ kind: "read", outcome: { request: READ, kind: "confirmed", index: 3 } }]);
});

test("sofa-jraft-25: a leader that was cut off answers no read, whatever its clock says", () => {
  const tier = led();
  tier.isolate("a");
  tier.tick(["b", "c"], 12);
  tier.settle();
  tier.propose("b", "x");
  tier.settle();
  assert.deepEqual(leaders(tier), ["a", "b"]);
  forget(tier);

  tier.at("a", (core) => core.readIndex(READ));
  tier.pass(20);

  const reads = tier
    .member("a")
    .takeHappenings()
    .filter(({ kind }) => kind === "read");
  assert.deepEqual(reads, [{ kind: "read", outcome: { request: READ, kind: "failed" } }]);
});

test("d-engine-381: a read is confirmed by heartbeats that were sent after it was asked", () => {
  const tier = led();
  tier.tick(["a"]);
  const isEarly = new Set(tier.queue);
  forget(tier);

  tier.at("a", (core) => core.readIndex(READ));
  tier.deliver((message) => isEarly.has(message));
  tier.deliver((message) => message.kind === "heartbeatReply" && message.round === 0);
  assert.deepEqual(tier.member("a").takeHappenings(), []);
  tier.settle();

  assert.deepEqual(
    tier
      .member("a")
      .takeHappenings()
      .map(({ kind }) => kind),
    ["read"],
  );
});

test("redisraft-13: a forwarded command travels once, also to somebody who does not lead any more", () => {
  const tier = led();
  tier.isolate("b");
  tier.at("a", (core) => core.transferLeadership("c"));
  tier.settle();
  tier.pass(3);
  assert.deepEqual(leaders(tier), ["c"]);
  tier.heal();

  // b has not heard of c yet, and passes it on to a.
  tier.at("b", (core) => core.forward(READ, new TextEncoder().encode("x")));
  const delivered = tier.settle();

  assert.equal(kinds(delivered).filter((kind) => kind === "propose").length, 1);
  const results = tier
    .member("b")
    .takeHappenings()
    .filter(({ kind }) => kind === "forwarded");
  assert.equal(results.length, 1);
  const copies = tier.members.map(({ core }) =>
    Array.from({ length: core.last.index }, (_, at) => core.entry(at + 1)).filter(
      (entry) => entry?.kind === "command",
    ),
  );
  assert.deepEqual(
    copies.map(({ length }) => length),
    [0, 0, 0],
  );
});
