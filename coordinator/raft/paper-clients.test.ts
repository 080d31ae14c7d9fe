/** The rules of the Raft paper and Ongaro's dissertation about clients: reads and proposals, one test each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Tier } from "../../test/support/raft/tier.js";
import type { RequestId } from "./message.js";
import type { ForwardResult, ReadOutcome } from "./ready.js";

const FIRST: RequestId = { client: "x", sequence: 1 };
const SECOND: RequestId = { client: "x", sequence: 2 };

describe("section 8 and dissertation, section 6.4, reads", () => {
  test("a leader begins its term with an entry of its own", () => {
    const tier = led();

    const entry = tier.core("a").entry(1);

    assert.deepEqual([entry?.kind, entry?.term], ["noop", 1]);
  });

  test("a read waits until the leader's term has an entry committed", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });
    tier.given("a", 1, [1, 1]);
    tier.given("b", 1, [1, 1]);
    tier.given("c", 1, [1, 1]);
    tier.at("a", (core) => core.campaign());
    for (let step = 0; step < 4; step++) tier.deliver();
    assert.equal(tier.core("a").role, "leader");

    tier.at("a", (core) => core.readIndex(FIRST));
    assert.deepEqual(
      tier.queue.filter((message) => message.kind === "heartbeat"),
      [],
    );
    tier.settle();

    assert.deepEqual(reads(tier, "a"), [{ request: FIRST, kind: "confirmed", index: 3 }]);
  });

  test("a read is confirmed by a quorum that answers after it was asked for", () => {
    const tier = led();
    tier.tick(["a"], 1);
    tier.deliver();
    const earlier = [...tier.queue];

    tier.at("a", (core) => core.readIndex(FIRST));
    for (const message of earlier) tier.give(message);
    assert.deepEqual(reads(tier, "a"), []);
    tier.settle();

    assert.deepEqual(reads(tier, "a"), [{ request: FIRST, kind: "confirmed", index: 1 }]);
  });

  test("a leader that another one has replaced confirms nothing", () => {
    const tier = led();
    tier.isolate("a");
    tier.tick(["b", "c"], 10);
    tier.elect("b");
    tier.propose("b", "new");
    tier.settle();

    tier.at("a", (core) => core.readIndex(FIRST));
    tier.tick(["a"], 9);
    tier.settle();
    assert.deepEqual(reads(tier, "a"), []);
    tier.heal();
    tier.pass(3);

    assert.deepEqual(reads(tier, "a"), [{ request: FIRST, kind: "failed" }]);
  });

  test("a read sees what was committed when its round began", () => {
    const tier = led();
    tier.at("a", (core) => core.readIndex(FIRST));
    tier.propose("a", "x");
    tier.settle();

    const [outcome] = reads(tier, "a");

    assert(outcome?.kind === "confirmed" && outcome.index >= 1);
    tier.at("a", (core) => core.readIndex(SECOND));
    tier.settle();
    assert.deepEqual(reads(tier, "a"), [{ request: SECOND, kind: "confirmed", index: 2 }]);
  });

  test("many reads share one round of heartbeats", () => {
    const tier = led();
    for (let sequence = 1; sequence <= 50; sequence++) {
      tier.at("a", (core) => core.readIndex({ client: "x", sequence }));
    }

    assert.equal(tier.queue.length, 2);
    // Those that came while the first round was out wait for the next heartbeat at most.
    tier.pass(1);

    assert.equal(reads(tier, "a").length, 50);
  });

  test("a follower asks the leader, and may then read from its own state", () => {
    const tier = led();
    tier.propose("a", "x");
    tier.settle();

    tier.at("b", (core) => core.readIndex(FIRST));
    tier.settle();

    assert.deepEqual(reads(tier, "b"), [{ request: FIRST, kind: "confirmed", index: 2 }]);
  });

  test("a follower's read fails when nobody leads, when the leader changes and when no answer comes", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });
    tier.at("b", (core) => core.readIndex(FIRST));
    assert.deepEqual(reads(tier, "b"), [{ request: FIRST, kind: "failed" }]);

    tier.elect("a");
    tier.at("b", (core) => core.readIndex(FIRST));
    tier.drop();
    tier.give({ from: "c", to: "b", term: 2, kind: "heartbeat", round: 0 });
    assert.deepEqual(reads(tier, "b"), [{ request: FIRST, kind: "failed" }]);

    tier.at("b", (core) => core.readIndex(SECOND));
    tier.drop();
    for (let ticks = 0; ticks < 10; ticks++) {
      tier.give({ from: "c", to: "b", term: 2, kind: "heartbeat", round: 0 });
      tier.tick(["b"], 1);
    }
    assert.deepEqual(reads(tier, "b"), [{ request: SECOND, kind: "failed" }]);
  });

  test("an answer to a read of an earlier life is not one to a read of today", () => {
    const tier = led();
    tier.at("b", (core) => core.readIndex(SECOND));
    tier.drop();

    tier.give({ from: "a", to: "b", term: 1, kind: "readIndexReply", request: FIRST, index: 0 });

    assert.deepEqual(reads(tier, "b"), []);
  });

  test("a single voter confirms at once, and after the others have gone as well", () => {
    const tier = led();
    tier.at("a", (core) => core.proposeMembership({ kind: "remove", id: "c" }));
    tier.settle();
    tier.at("a", (core) => core.proposeMembership({ kind: "remove", id: "b" }));
    // b is lost with the answer to this read.
    tier.at("a", (core) => core.readIndex(FIRST));
    tier.drop(({ kind }) => kind === "heartbeat");
    tier.settle();
    tier.pass(1);
    tier.at("a", (core) => core.readIndex(SECOND));

    const outcomes = reads(tier, "a").map((outcome) => [outcome.request.sequence, outcome.kind]);
    assert.deepEqual(outcomes, [
      [1, "confirmed"],
      [2, "confirmed"],
    ]);
  });
});

describe("section 8 and dissertation, section 6.3, proposals", () => {
  test("a follower passes a proposal on, and learns where it stands", () => {
    const tier = led();

    forward(tier, "b", FIRST);
    tier.settle();

    const outcome = { kind: "appended", position: { index: 2, term: 1 } };
    assert.deepEqual(forwarded(tier, "b"), [{ request: FIRST, outcome }]);
    assert.equal(tier.core("b").commit, 2);
  });

  test("a proposal that arrives twice is one entry", () => {
    const tier = led();
    forward(tier, "b", FIRST);
    const [message] = tier.queue;
    assert(message !== undefined);

    tier.settle();
    tier.give(message);
    tier.settle();

    assert.equal(tier.core("a").last.index, 2);
    assert.equal(forwarded(tier, "b").length, 1);
  });

  test("a proposal that reaches one who does not lead goes no further", () => {
    const tier = led();

    tier.give({ from: "c", to: "b", term: 1, kind: "propose", request: FIRST, payload: new Uint8Array(1) });
    const answers = tier.queue;

    assert.deepEqual(
      answers.map(({ to, kind }) => [to, kind]),
      [["c", "proposeReply"]],
    );
  });

  test("without an answer a proposal is given up, and never sent again", () => {
    const tier = led();
    forward(tier, "b", FIRST);
    tier.drop();

    tier.pass(10);

    assert.deepEqual(forwarded(tier, "b"), [{ request: FIRST, outcome: { kind: "unknown" } }]);
    tier.pass(50);
    assert.equal(tier.core("a").last.index, 1);
  });

  test("without a leader a proposal is refused: nothing has happened", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });

    forward(tier, "b", FIRST);

    const outcome = { kind: "refused", reason: "notLeader" };
    assert.deepEqual(forwarded(tier, "b"), [{ request: FIRST, outcome }]);
  });

  test("a batch of proposals is taken whole or not at all", () => {
    const tier = new Tier({ voters: ["a", "b", "c"], config: { maxUncommittedBytes: 200 } });
    tier.elect("a");
    tier.isolate("a");
    tier.propose("a", "x");

    const refused = tier.propose("a", "y".repeat(60), "z".repeat(60));

    assert.deepEqual(refused, { isAccepted: false, reason: "tooManyUncommitted" });
    assert.equal(tier.core("a").last.index, 2);
  });

  test("a single batch may be larger than the limit: it would never fit otherwise", () => {
    const tier = new Tier({ voters: ["a", "b", "c"], config: { maxUncommittedBytes: 200 } });
    tier.elect("a");

    assert.equal(tier.propose("a", "y".repeat(1000)).isAccepted, true);
  });

  test("what a new leader finds uncommitted counts against the limit until it is committed", () => {
    const tier = new Tier({ voters: ["a", "b", "c"], config: { maxUncommittedBytes: 200 } });
    tier.given("a", 1, [1, 1, 1, 1, 1, 1]);
    tier.at("a", (core) => core.campaign());
    for (let step = 0; step < 4; step++) tier.deliver();
    assert.equal(tier.core("a").role, "leader");

    assert.equal(tier.propose("a", "x").isAccepted, false);
    tier.settle();

    assert.equal(tier.core("a").status().uncommittedBytes, 0);
    assert.equal(tier.propose("a", "x").isAccepted, true);
  });
});

function led(): Tier {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.elect("a");
  tier.members.forEach((member) => member.takeHappenings());
  return tier;
}

function forward(tier: Tier, id: string, request: RequestId): void {
  tier.at(id, (core) => core.forward(request, new TextEncoder().encode("x")));
}

function reads(tier: Tier, id: string): readonly ReadOutcome[] {
  const happenings = tier.member(id).takeHappenings();
  return happenings.flatMap((happening) => (happening.kind === "read" ? [happening.outcome] : []));
}

function forwarded(tier: Tier, id: string): readonly ForwardResult[] {
  const happenings = tier.member(id).takeHappenings();
  return happenings.flatMap((happening) => (happening.kind === "forwarded" ? [happening.result] : []));
}
