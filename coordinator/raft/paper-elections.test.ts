/** The rules of the Raft paper and Ongaro's dissertation about terms and elections, one test each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Tier } from "../../test/support/raft/tier.js";
import { RAFT_DEFAULTS } from "./config.js";
import { RaftCore } from "./core.js";
import { BEFORE_ALL } from "./entry.js";
import { NO_HARD_STATE } from "./hard-state.js";
import { InvariantViolation } from "./invariant.js";
import type { MessageBody } from "./message.js";

const ABC = { voters: ["a", "b", "c"] };
const LAST = { index: 1, term: 1 };

describe("section 5.1, terms", () => {
  const bodies: readonly MessageBody[] = [
    { kind: "append", previous: BEFORE_ALL, entries: [], commit: 0 },
    { kind: "appendReply", isAccepted: true, match: 0 },
    { kind: "heartbeat", round: 0 },
    { kind: "heartbeatReply", round: 0, commit: 0 },
    { kind: "vote", last: LAST, isTransfer: true },
    { kind: "voteReply", isGranted: false },
    { kind: "preVoteReply", askedTerm: 1, isGranted: false },
    { kind: "installSnapshot", last: LAST, membership: [] },
    { kind: "readIndexReply", request: { client: "b", sequence: 1 }, index: null },
  ];
  for (const role of ["follower", "preCandidate", "candidate", "leader"] as const) {
    for (const body of bodies) {
      test(`a ${role} that hears of a later term by ${body.kind} becomes a follower of that term`, () => {
        const tier = tierWith(role);

        tier.give({ from: "b", to: "a", term: 9, ...body });

        assert.deepEqual([tier.core("a").role, tier.core("a").term], ["follower", 9]);
      });
    }
  }

  test("a pre-vote of a later term changes nobody's term", () => {
    const tier = tierWith("follower");
    const before = tier.core("a").status();

    tier.give({ from: "b", to: "a", term: 9, kind: "preVote", last: LAST });

    assert.deepEqual(tier.core("a").status(), before);
  });

  test("a request of an earlier term is refused, and the answer names the later term", () => {
    const tier = new Tier(ABC);
    tier.given("a", 3, [1]);
    const before = tier.core("a").status();

    tier.give({ from: "b", to: "a", term: 2, kind: "append", previous: LAST, entries: [], commit: 1 });
    tier.give({ from: "b", to: "a", term: 2, kind: "heartbeat", round: 1 });
    tier.give({ from: "b", to: "a", term: 2, kind: "vote", last: LAST, isTransfer: false });

    assert.deepEqual(tier.core("a").status(), before);
    assert.deepEqual(
      tier.queue.map((message) => message.term),
      [3, 3, 3],
    );
  });

  test("an answer of an earlier term does not count", () => {
    const tier = tierWith("candidate");
    const term = tier.core("a").term;

    tier.give({ from: "b", to: "a", term: term - 1, kind: "voteReply", isGranted: true });

    assert.equal(tier.core("a").role, "candidate");
  });
});

describe("section 5.2, leader election", () => {
  test("a member begins as a follower", () => {
    assert.equal(new Tier(ABC).core("a").role, "follower");
  });

  test("a follower stays one while it hears from the leader", () => {
    const tier = tierWith("leader");

    tier.pass(100);

    assert.deepEqual(rolesOf(tier), ["leader", "follower", "follower"]);
    assert.equal(tier.core("b").term, 1);
  });

  test("a candidate enters the next term, votes for itself, and asks all other voters", () => {
    const tier = new Tier({ ...ABC, learners: ["d"] });

    tier.at("a", (core) => core.campaign());
    tier.deliver();
    tier.deliver();

    const { role, term, vote } = tier.core("a").status();
    assert.deepEqual({ role, term, vote }, { role: "candidate", term: 1, vote: "a" });
    assert.deepEqual(
      tier.queue.map(({ kind, to }) => `${kind} ${to}`),
      ["vote b", "vote c"],
    );
  });

  for (const [voters, granted, denied, role] of [
    [3, 1, 0, "leader"],
    [3, 0, 1, "candidate"],
    [3, 0, 2, "follower"],
    [4, 1, 0, "candidate"],
    [4, 2, 0, "leader"],
    [4, 1, 2, "follower"],
    [5, 1, 2, "candidate"],
    [5, 2, 2, "leader"],
    [5, 1, 3, "follower"],
  ] as const) {
    test(`of ${voters} voters, ${granted} others say yes and ${denied} no: the candidate is a ${role}`, () => {
      const tier = candidateOf(voters);
      const others = tier.founders.map((member) => member.id).filter((id) => id !== "a");

      others.slice(0, granted + denied).forEach((from, at) => {
        tier.give({ from, to: "a", term: 1, kind: "voteReply", isGranted: at < granted });
      });

      assert.equal(tier.core("a").role, role);
    });
  }

  test("a vote counts once, however often it arrives", () => {
    const tier = candidateOf(5);

    for (let times = 0; times < 3; times++) {
      tier.give({ from: "b", to: "a", term: 1, kind: "voteReply", isGranted: true });
    }

    assert.equal(tier.core("a").role, "candidate");
  });

  test("the vote of one who is no voter does not count", () => {
    const tier = candidateOf(3);

    tier.give({ from: "stranger", to: "a", term: 1, kind: "voteReply", isGranted: true });

    assert.equal(tier.core("a").role, "candidate");
  });

  test("a member votes for one candidate per term, the first that asks", () => {
    const tier = new Tier(ABC);

    tier.give({ from: "b", to: "a", term: 1, kind: "vote", last: BEFORE_ALL, isTransfer: false });
    tier.give({ from: "c", to: "a", term: 1, kind: "vote", last: BEFORE_ALL, isTransfer: false });

    assert.deepEqual(votesSent(tier), ["b yes", "c no"].sort());
  });

  test("a member gives the same candidate its vote again: the answer may have been lost", () => {
    const tier = new Tier(ABC);

    tier.give({ from: "b", to: "a", term: 1, kind: "vote", last: BEFORE_ALL, isTransfer: false });
    tier.give({ from: "b", to: "a", term: 1, kind: "vote", last: BEFORE_ALL, isTransfer: false });

    assert.deepEqual(votesSent(tier), ["b yes", "b yes"]);
  });

  test("a member remembers its vote over a restart", () => {
    const tier = new Tier(ABC);
    tier.give({ from: "b", to: "a", term: 1, kind: "vote", last: BEFORE_ALL, isTransfer: false });
    tier.drop();

    tier.crash("a");
    tier.restart("a");
    tier.give({ from: "c", to: "a", term: 1, kind: "vote", last: BEFORE_ALL, isTransfer: false });

    assert.deepEqual(votesSent(tier), ["c no"]);
  });

  test("a vote in a term that was known already is remembered as well", () => {
    const tier = new Tier(ABC);
    tier.given("a", 3, [1]);
    tier.give({ from: "b", to: "a", term: 3, kind: "vote", last: LAST, isTransfer: false });
    tier.drop();

    tier.crash("a");
    tier.restart("a");
    tier.give({ from: "c", to: "a", term: 3, kind: "vote", last: LAST, isTransfer: false });

    assert.deepEqual(votesSent(tier), ["c no"]);
  });

  test("a candidate asks for votes only when its own vote is durable", () => {
    const tier = new Tier(ABC);
    tier.member("a").isDiskSlow = true;
    tier.at("a", (core) => core.campaign());
    tier.deliver();
    tier.deliver();
    assert.equal(tier.core("a").role, "candidate");

    assert.deepEqual(tier.queue, []);
    tier.member("a").persist();

    assert.deepEqual(
      tier.queue.map(({ kind }) => kind),
      ["vote", "vote"],
    );
  });

  test("a vote leaves only when it is durable", () => {
    const tier = new Tier(ABC);
    tier.member("a").isDiskSlow = true;

    tier.give({ from: "b", to: "a", term: 1, kind: "vote", last: BEFORE_ALL, isTransfer: false });

    assert.deepEqual(votesSent(tier), []);
    tier.member("a").persist();
    assert.deepEqual(votesSent(tier), ["b yes"]);
  });

  test("a candidate's own vote counts only when it is durable", () => {
    const tier = new Tier({ voters: ["a"] });
    tier.crash("a");
    tier.member("a").isDiskSlow = true;

    tier.restart("a");

    assert.equal(tier.core("a").role, "candidate");
    tier.member("a").persist();
    assert.equal(tier.core("a").role, "leader");
  });

  test("whoever gives its vote waits a full timeout for the one it voted for", () => {
    const tier = new Tier(ABC);
    tier.at("b", (core) => core.campaign());
    tier.drop();
    tier.tick(["b"], 9);

    tier.give({ from: "a", to: "b", term: 0, kind: "vote", last: BEFORE_ALL, isTransfer: false });
    assert.equal(tier.core("b").role, "follower");
    tier.tick(["b"], 11);
    assert.equal(tier.core("b").role, "follower");
    tier.tick(["b"], 1);

    assert.equal(tier.core("b").role, "preCandidate");
  });

  test("a leader does not campaign", () => {
    const tier = tierWith("leader");

    tier.at("a", (core) => core.campaign());

    assert.equal(tier.core("a").role, "leader");
  });

  test("a candidate that hears a leader of its term becomes its follower", () => {
    const tier = candidateOf(3);

    tier.give({ from: "b", to: "a", term: 1, kind: "heartbeat", round: 0 });

    assert.deepEqual([tier.core("a").role, tier.core("a").leaderId], ["follower", "b"]);
  });

  test("a term never has two leaders: one that meets another stops", () => {
    const tier = tierWith("leader");

    const meet = () => tier.give({ from: "b", to: "a", term: 1, kind: "heartbeat", round: 0 });

    assert.throws(meet, InvariantViolation);
  });

  test("after a split vote a candidate begins a new election in a later term", () => {
    const tier = candidateOf(3);
    tier.drop();

    tier.tick(["a"], 10);
    tier.settle();

    assert.deepEqual([tier.core("a").role, tier.core("a").term], ["leader", 2]);
  });

  test("election timeouts are spread over one to two times the least", () => {
    const electionTicks = 20;
    const ticksToCampaign = [0, 0.25, 0.5, 0.999].map((chance) => {
      const core = new RaftCore(
        { ...RAFT_DEFAULTS, electionTicks, id: "a", random: () => chance },
        {
          hardState: NO_HARD_STATE,
          base: { last: BEFORE_ALL, membership: new Tier(ABC).founders },
          entries: [],
        },
      );
      let ticks = 0;
      for (; core.role === "follower"; ticks++) core.tick();
      return ticks;
    });

    assert.deepEqual(ticksToCampaign, [20, 25, 30, 39]);
  });
});

describe("section 5.4.1, election restriction", () => {
  for (const [own, candidate, isGranted] of [
    [[1, 1], { index: 2, term: 1 }, true],
    [[1, 1], { index: 3, term: 1 }, true],
    [[1, 1], { index: 1, term: 1 }, false],
    [[1, 1], { index: 1, term: 2 }, true],
    [[1, 2], { index: 9, term: 1 }, false],
    [[], BEFORE_ALL, true],
  ] as const) {
    const text = `a log of terms [${own.join(" ")}] ${isGranted ? "gives" : "denies"} its vote`;
    test(`${text} to one that ends with ${candidate.index}/${candidate.term}`, () => {
      const tier = new Tier(ABC);
      tier.given("a", 2, own);

      tier.give({ from: "b", to: "a", term: 3, kind: "vote", last: candidate, isTransfer: false });
      tier.give({ from: "b", to: "a", term: 3, kind: "preVote", last: candidate });

      assert.deepEqual(votesSent(tier), [`b ${isGranted ? "yes" : "no"}`]);
      const asked = tier.queue.find((message) => message.kind === "preVoteReply");
      // In term 3 it has just voted, but this is about the term after it.
      assert.equal(asked?.isGranted, isGranted);
    });
  }
});

describe("dissertation, section 4.2.3, disruptive servers", () => {
  test("a member that hears its leader neither votes nor follows a candidate's term", () => {
    const tier = tierWith("leader");

    tier.give({ from: "c", to: "b", term: 5, kind: "vote", last: LAST, isTransfer: false });
    tier.give({ from: "c", to: "a", term: 5, kind: "vote", last: LAST, isTransfer: false });

    assert.deepEqual(votesSent(tier), []);
    assert.deepEqual([tier.core("a").role, tier.core("b").term], ["leader", 1]);
  });

  test("it votes as soon as it has not heard its leader for the least election timeout", () => {
    const tier = tierWith("leader");
    tier.tick(["b"], 10);

    tier.give({ from: "c", to: "b", term: 5, kind: "vote", last: LAST, isTransfer: false });

    assert.deepEqual(votesSent(tier), ["c yes"]);
  });

  test("a candidate that the leader itself has asked for is heard at any time", () => {
    const tier = tierWith("leader");

    tier.give({ from: "c", to: "b", term: 5, kind: "vote", last: LAST, isTransfer: true });

    assert.deepEqual(votesSent(tier), ["c yes"]);
  });
});

describe("dissertation, section 6.2, leaders without a quorum", () => {
  test("a leader steps down when an election timeout goes by without a quorum", () => {
    const tier = tierWith("leader");
    tier.isolate("a");

    tier.tick(["a"], 9);
    assert.equal(tier.core("a").role, "leader");
    tier.tick(["a"], 1);

    assert.equal(tier.core("a").role, "follower");
    assert.equal(tier.core("a").term, 1);
  });
});

describe("dissertation, section 9.6, pre-vote", () => {
  test("a member that is cut off does not raise its term, and comes back without an election", () => {
    const tier = tierWith("leader");
    tier.isolate("c");
    tier.pass(100);

    assert.equal(tier.core("c").term, 1);
    tier.heal();
    tier.pass(3);

    assert.deepEqual(rolesOf(tier), ["leader", "follower", "follower"]);
    assert.equal(tier.core("a").term, 1);
  });

  test("a member that hears a leader would not vote", () => {
    const tier = tierWith("leader");

    tier.give({ from: "c", to: "b", term: 1, kind: "preVote", last: LAST });
    tier.give({ from: "c", to: "a", term: 1, kind: "preVote", last: LAST });

    const answers = tier.queue.filter((message) => message.kind === "preVoteReply");
    assert.deepEqual(
      answers.map((answer) => answer.isGranted),
      [false, false],
    );
  });

  test("one who asks in an earlier term gets an answer with the later one, and asks again in that", () => {
    const tier = new Tier(ABC);
    tier.given("a", 1, [1]);
    tier.given("b", 4, [1]);
    tier.isolate("c");

    tier.at("a", (core) => core.campaign());
    tier.settle();
    assert.equal(tier.core("a").term, 4);
    tier.at("a", (core) => core.campaign());
    tier.settle();

    assert.deepEqual([tier.core("a").role, tier.core("a").term], ["leader", 5]);
  });

  test("an answer to the question of an earlier term does not count", () => {
    const tier = new Tier(ABC);
    tier.given("a", 3, [1]);
    tier.at("a", (core) => core.campaign());

    tier.give({ from: "b", to: "a", term: 2, kind: "preVoteReply", askedTerm: 2, isGranted: true });

    assert.equal(tier.core("a").role, "preCandidate");
  });
});

/** Member a in a role; b leads where a follows. */
function tierWith(role: "follower" | "preCandidate" | "candidate" | "leader"): Tier {
  if (role === "candidate") return candidateOf(3);
  const tier = new Tier(ABC);
  if (role === "leader") tier.elect("a");
  if (role === "follower") tier.elect("b");
  if (role === "preCandidate") tier.at("a", (core) => core.campaign());
  tier.drop();
  return tier;
}

/** Member a asks for votes in term 1; nobody has answered. */
function candidateOf(voterCount: number): Tier {
  const tier = new Tier({ voters: ["a", "b", "c", "d", "e"].slice(0, voterCount) });
  tier.at("a", (core) => core.campaign());
  tier.deliver();
  tier.deliver();
  tier.drop();
  assert.equal(tier.core("a").role, "candidate");
  return tier;
}

function rolesOf(tier: Tier): readonly string[] {
  return tier.members.map((member) => member.core.role);
}

function votesSent(tier: Tier): readonly string[] {
  return tier.queue
    .filter((message) => message.kind === "voteReply")
    .map(({ to, isGranted }) => `${to} ${isGranted ? "yes" : "no"}`)
    .sort();
}
