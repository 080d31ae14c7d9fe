/** The rules of the Raft paper and Ongaro's dissertation about the log, one test each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Tier } from "../../test/support/raft/tier.js";
import { BEFORE_ALL } from "./entry.js";
import type { Entry, Position } from "./entry.js";
import type { Message } from "./message.js";

const ABC = { voters: ["a", "b", "c"] };

describe("section 5.3, log replication", () => {
  test("a leader appends a command and sends it to all others", () => {
    const tier = led();

    const result = tier.propose("a", "x");

    assert.deepEqual(result, { isAccepted: true, first: { index: 2, term: 1 } });
    assert.deepEqual(
      tier.queue.map((message) => [message.to, message.kind === "append" && message.entries.length]),
      [
        ["b", 1],
        ["c", 1],
      ],
    );
  });

  test("an entry is committed when a quorum has it", () => {
    const tier = led();
    tier.propose("a", "x");

    tier.deliver((message) => message.to === "b");
    assert.equal(tier.core("a").commit, 1);
    tier.deliver((message) => message.from === "b");

    assert.equal(tier.core("a").commit, 2);
  });

  test("a leader counts itself only with what its own disk has", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });
    tier.elect("a");
    tier.member("a").isDiskSlow = true;
    tier.propose("a", "x");

    tier.deliver((message) => message.to === "b");
    tier.deliver((message) => message.from === "b");
    assert.equal(tier.core("a").commit, 1);
    tier.member("a").persist();

    assert.equal(tier.core("a").commit, 2);
  });

  test("a follower acknowledges only what its disk has", () => {
    const tier = led();
    tier.member("b").isDiskSlow = true;
    tier.propose("a", "x");
    tier.deliver((message) => message.to === "b");

    assert.deepEqual(
      tier.queue.filter((message) => message.from === "b"),
      [],
    );
    tier.member("b").persist();

    assert.equal(tier.queue.filter((message) => message.from === "b").length, 1);
  });

  test("committing an entry commits all before it, and followers learn of it", () => {
    const tier = led();
    tier.isolate("c");
    tier.propose("a", "x");
    tier.propose("a", "y");
    tier.settle();
    tier.heal();
    tier.pass(1);

    assert.deepEqual(
      tier.members.map((member) => member.core.commit),
      [3, 3, 3],
    );
    assert.deepEqual(applied(tier, "c"), ["2 x", "3 y"]);
  });

  test("a follower refuses entries that do not follow on its log", () => {
    const tier = new Tier(ABC);
    tier.given("a", 2, [1]);

    tier.give(append({ term: 2, previous: { index: 2, term: 2 }, entries: [entry(3, 2)] }));
    tier.give(append({ term: 2, previous: { index: 1, term: 2 }, entries: [entry(2, 2)] }));

    assert.deepEqual(tier.terms("a"), [1]);
    assert.deepEqual(
      tier.queue.map((message) => message.kind === "appendReply" && message.isAccepted),
      [false, false],
    );
  });

  test("a follower drops entries that conflict with the leader's, and all after them", () => {
    const tier = new Tier(ABC);
    tier.given("a", 2, [1, 1, 2, 2]);

    tier.give(append({ term: 3, previous: { index: 2, term: 1 }, entries: [entry(3, 3)] }));

    assert.deepEqual(tier.terms("a"), [1, 1, 3]);
  });

  test("a follower keeps what follows when nothing conflicts: the message may be an old one", () => {
    const tier = new Tier(ABC);
    tier.given("a", 1, [1, 1, 1, 1]);

    tier.give(append({ term: 1, previous: { index: 1, term: 1 }, entries: [entry(2, 1)] }));

    assert.deepEqual(tier.terms("a"), [1, 1, 1, 1]);
    // What follows it has not been compared, so it is not acknowledged either.
    const [reply] = tier.queue;
    assert.equal(reply?.kind === "appendReply" && reply.isAccepted && reply.match, 2);
  });

  test("a follower's commit index follows the leader's as far as its log is known to be equal", () => {
    const tier = new Tier(ABC);
    tier.given("a", 1, [1, 1, 1, 1]);

    tier.give(append({ term: 1, previous: { index: 1, term: 1 }, entries: [entry(2, 1)], commit: 4 }));
    assert.equal(tier.core("a").commit, 2);
    tier.give(append({ term: 1, previous: { index: 4, term: 1 }, entries: [], commit: 3 }));

    assert.equal(tier.core("a").commit, 3);
  });

  test("a committed entry is never replaced, whatever a message holds", () => {
    const tier = new Tier(ABC);
    tier.given("a", 1, [1, 1]);
    tier.give(append({ term: 1, previous: { index: 2, term: 1 }, entries: [], commit: 1 }));

    tier.give(append({ term: 2, previous: BEFORE_ALL, entries: [entry(1, 1), entry(2, 2)] }));

    assert.deepEqual(tier.terms("a"), [1, 2]);
  });

  const otherLogs: Record<string, Message> = {
    "an entry": append({ term: 5, previous: { index: 1, term: 1 }, entries: [entry(2, 4), entry(3, 4)] }),
    "what its entries follow": append({ term: 5, previous: { index: 2, term: 4 }, entries: [entry(3, 4)] }),
    "the end of a snapshot": { from: "b", to: "a", term: 5, kind: "installSnapshot", ...snapshotAt(2, 4) },
  };
  for (const [name, message] of Object.entries(otherLogs)) {
    test(`a leader that has ${name} otherwise than it was committed here is the leader of another log`, () => {
      const tier = new Tier(ABC);
      tier.given("a", 1, [1, 1, 1]);
      tier.give(append({ term: 1, previous: { index: 3, term: 1 }, entries: [], commit: 3 }));

      assert.throws(() => tier.give(message), {
        name: "InvariantViolation",
        message: /Entry 2 is committed here with term 1, and the leader has it with term 4/,
      });
      assert.deepEqual(tier.terms("a"), [1, 1, 1]);
    });
  }

  const leaderTerms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const figure7 = {
    "(a) lacks the last": [1, 1, 1, 4, 4, 5, 5, 6, 6],
    "(b) lacks many": [1, 1, 1, 4],
    "(c) has one more": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    "(d) has two of another term more": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    "(e) lacks some and has others": [1, 1, 1, 4, 4, 4, 4],
    "(f) was a leader of its own": [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  };
  for (const [name, terms] of Object.entries(figure7)) {
    test(`figure 7: the log of a follower becomes equal to the leader's, where it ${name.slice(4)} ${name.slice(0, 3)}`, () => {
      const tier = new Tier(ABC);
      tier.given("a", 7, leaderTerms);
      tier.given("b", 7, terms);
      tier.given("c", 7, leaderTerms);
      tier.isolate("b");
      tier.elect("a");
      tier.heal();

      tier.pass(3);

      assert.deepEqual(tier.terms("a"), [...leaderTerms, 8]);
      assert.deepEqual(tier.terms("b"), [...leaderTerms, 8]);
      assert.equal(tier.core("b").commit, 11);
    });
  }
});

describe("section 5.4.2, committing entries from previous terms", () => {
  test("figure 8: an entry of an earlier term on a quorum is not committed by counting", () => {
    const tier = new Tier({ voters: ["a", "b", "c", "d", "e"] });
    // S1 to S5; S1 leads term 4 and has brought entry 2 of term 2 to S3.
    tier.given("a", 3, [1, 2]);
    tier.given("b", 3, [1, 2]);
    tier.given("c", 3, [1]);
    tier.given("d", 3, [1]);
    tier.given("e", 3, [1, 3]);
    tier.isolate("e");
    tier.at("a", (core) => core.campaign());
    tier.deliver();
    tier.deliver();
    tier.deliver();
    tier.deliver();
    assert.equal(tier.core("a").role, "leader");
    tier.drop();

    for (const from of ["b", "c"]) {
      tier.give({ from, to: "a", term: 4, kind: "appendReply", isAccepted: true, match: 2 });
    }
    assert.equal(tier.core("a").commit, 0);
    for (const from of ["b", "c"]) {
      tier.give({ from, to: "a", term: 4, kind: "appendReply", isAccepted: true, match: 3 });
    }

    assert.equal(tier.core("a").commit, 3);
  });
});

describe("section 5.5, crashes", () => {
  test("what a member had acknowledged it still has after a crash", () => {
    const tier = led();
    tier.isolate("c");
    tier.propose("a", "x");
    tier.settle();

    tier.crash("b");
    tier.restart("b");

    assert.deepEqual(tier.terms("b"), [1, 1]);
  });

  test("a request that arrives twice does no more than one", () => {
    const tier = led();
    tier.propose("a", "x");
    const message = tier.queue.find(({ to }) => to === "b");
    assert(message !== undefined);

    tier.give(message);
    const once = tier.core("b").status();
    tier.give(message);

    assert.deepEqual(tier.core("b").status(), once);
  });
});

describe("section 7, log compaction", () => {
  test("a member lets go of entries that its snapshot replaces, and goes on", () => {
    const tier = led();
    tier.propose("a", "x", "y");
    tier.settle();

    tier.member("a").snapshot(0);

    assert.deepEqual(tier.core("a").base, { index: 3, term: 1 });
    tier.propose("a", "z");
    tier.settle();
    assert.deepEqual(applied(tier, "b"), ["2 x", "3 y", "4 z"]);
  });

  test("a follower that lacks what the leader let go of gets its snapshot, and the entries after it", () => {
    const tier = led();
    tier.isolate("c");
    tier.propose("a", "x", "y");
    tier.settle();
    tier.member("a").snapshot(0);
    tier.propose("a", "z");
    tier.settle();
    tier.heal();

    tier.pass(2);

    assert.deepEqual(tier.core("c").base, { index: 3, term: 1 });
    assert.deepEqual(applied(tier, "c"), ["4 z"]);
  });

  test("a snapshot replaces a log that does not contain its last entry, whole", () => {
    const tier = new Tier(ABC);
    tier.given("a", 2, [1, 2, 2, 2, 2]);

    tier.give({ from: "b", to: "a", term: 3, kind: "installSnapshot", ...snapshotAt(3, 3) });

    const { base, last, commit, persisted } = tier.core("a").status();
    assert.deepEqual({ base, last }, { base: { index: 3, term: 3 }, last: { index: 3, term: 3 } });
    assert.deepEqual([commit, persisted], [3, 3]);
  });

  test("a snapshot of a part of the log leaves what follows it", () => {
    const tier = new Tier(ABC);
    tier.given("a", 3, [1, 3, 3, 3]);

    tier.give({ from: "b", to: "a", term: 3, kind: "installSnapshot", ...snapshotAt(2, 3) });

    assert.deepEqual(tier.terms("a"), [1, 3, 3, 3]);
    assert.equal(tier.core("a").commit, 2);
  });

  test("an old snapshot changes nothing", () => {
    const tier = led();
    tier.propose("a", "x");
    tier.settle();
    const before = tier.core("b").status();

    tier.give({ from: "a", to: "b", term: 1, kind: "installSnapshot", ...snapshotAt(1, 1) });

    assert.deepEqual(tier.core("b").status(), before);
  });

  test("a snapshot from before the log's own base changes nothing either", () => {
    const tier = led();
    tier.propose("a", "x", "y");
    tier.settle();
    tier.member("b").snapshot(0);
    const before = tier.core("b").status();

    tier.give({ from: "a", to: "b", term: 1, kind: "installSnapshot", ...snapshotAt(2, 1) });

    assert.deepEqual(tier.core("b").status(), before);
  });

  test("a snapshot brings the members as of its last entry", () => {
    const tier = new Tier(ABC);
    const membership = [{ id: "b", role: "voter" as const, address: "" }];

    tier.give({ from: "b", to: "a", term: 3, kind: "installSnapshot", ...snapshotAt(3, 3), membership });

    assert.deepEqual(tier.core("a").membership, membership);
  });
});

describe("dissertation, section 10.2", () => {
  test("10.2.1: a leader sends an entry while its own disk writes it", () => {
    const tier = led();
    tier.member("a").isDiskSlow = true;

    tier.propose("a", "x");

    assert.equal(tier.queue.filter((message) => message.kind === "append").length, 2);
    assert.equal(tier.core("a").status().persisted, 1);
  });

  test("10.2.2: what comes during a write is written together, and sent without waiting", () => {
    const tier = led();
    tier.member("a").isDiskSlow = true;
    for (const text of ["x", "y", "z"]) tier.propose("a", text);

    const toB = tier.queue.filter(({ to }) => to === "b");
    assert.equal(toB.length, 3);
    tier.member("a").persist();
    tier.member("a").persist();

    assert.equal(tier.core("a").status().persisted, 4);
    assert.equal(tier.member("a").isWriting, false);
  });
});

function led(): Tier {
  const tier = new Tier(ABC);
  tier.elect("a");
  return tier;
}

function entry(index: number, term: number): Entry {
  return { index, term, kind: "command", payload: new TextEncoder().encode(`of ${term}`) };
}

/** From b, who leads the term, to a. */
function append(
  wish: Pick<Message, "term"> & { previous?: Position; entries: readonly Entry[]; commit?: number },
): Message {
  const { term, previous = BEFORE_ALL, entries, commit = 0 } = wish;
  return { from: "b", to: "a", term, kind: "append", previous, entries, commit };
}

function snapshotAt(index: number, term: number) {
  return { last: { index, term }, membership: new Tier(ABC).founders };
}

function applied(tier: Tier, id: string): readonly string[] {
  return tier
    .member(id)
    .takeHappenings()
    .flatMap((happening) =>
      happening.kind === "applied" && happening.entry.kind === "command"
        ? [`${happening.entry.index} ${new TextDecoder().decode(happening.entry.payload)}`]
        : [],
    );
}
