/** The rules of Ongaro's dissertation about changing members and leaders, one test each. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Tier } from "../../test/support/raft/tier.js";
import { encodeMembership, findMember, voterIds } from "./membership.js";
import type { MembershipChange } from "./membership.js";

describe("dissertation, section 3.10, leadership transfer", () => {
  test("the successor has the whole log before it is told to campaign", () => {
    const tier = led("a", "b", "c");
    tier.member("b").isDiskSlow = true;
    tier.propose("a", "x");
    tier.settle();

    tier.at("a", (core) => core.transferLeadership("b"));
    assert.deepEqual(kinds(tier), []);
    tier.member("b").persist();
    tier.deliver((message) => message.from === "b");

    assert(kinds(tier).includes("timeoutNow"));
  });

  test("a leader that hands over accepts nothing new", () => {
    const tier = led("a", "b", "c");
    tier.at("a", (core) => core.transferLeadership("b"));

    assert.deepEqual(tier.propose("a", "x"), { isAccepted: false, reason: "transferring" });
    assert.deepEqual(change(tier, "a", { kind: "remove", id: "c" }), "transferring");
  });

  test("the successor campaigns at once, in a new term, although all others hear their leader", () => {
    const tier = led("a", "b", "c");

    tier.at("a", (core) => core.transferLeadership("b"));
    tier.settle();

    assert.deepEqual([tier.core("b").role, tier.core("b").term], ["leader", 2]);
  });

  test("after an election timeout the leader gives the transfer up and goes on", () => {
    const tier = led("a", "b", "c");
    tier.at("a", (core) => core.transferLeadership("b"));
    tier.drop();

    tier.pass(10);

    assert.equal(tier.core("a").status().transferringTo, null);
    assert.equal(tier.propose("a", "x").isAccepted, true);
  });

  test("a transfer does not outlive its leadership", () => {
    const tier = led("a", "b", "c");
    tier.at("a", (core) => core.transferLeadership("b"));
    tier.drop();
    tier.give({ from: "c", to: "a", term: 5, kind: "heartbeatReply", round: 0, commit: 0 });

    tier.pass(10);
    const leader = tier.members.find((member) => member.core.role === "leader");

    assert(leader !== undefined);
    assert.equal(tier.propose(leader.id, "x").isAccepted, true);
  });

  test("the successor is told once, whatever it acknowledges meanwhile", () => {
    const tier = led("a", "b", "c");
    tier.at("a", (core) => core.transferLeadership("b"));
    const told = kinds(tier).filter((kind) => kind === "timeoutNow").length;

    tier.give({ from: "b", to: "a", term: 1, kind: "appendReply", isAccepted: true, match: 1 });

    assert.equal(told, 1);
    assert.equal(kinds(tier).filter((kind) => kind === "timeoutNow").length, 1);
  });

  test("without a name the one who lacks least follows", () => {
    const tier = led("a", "b", "c");
    tier.member("b").isDiskSlow = true;
    tier.propose("a", "x");
    tier.settle();

    assert.deepEqual(
      tier.at("a", (core) => core.transferLeadership()),
      { isAccepted: true, to: "c" },
    );
  });

  test("only a voter takes over", () => {
    const tier = new Tier({ voters: ["a", "b"], learners: ["d"] });
    tier.elect("a");

    tier.give({ from: "a", to: "d", term: 1, kind: "timeoutNow" });

    assert.deepEqual([tier.core("d").role, tier.core("d").term], ["follower", 1]);
  });

  test("only the leader of the term can make a member campaign", () => {
    const tier = led("a", "b", "c");

    tier.give({ from: "c", to: "b", term: 1, kind: "timeoutNow" });

    assert.equal(tier.core("b").role, "follower");
  });
});

describe("dissertation, section 4.1, safety of membership changes", () => {
  test("a change counts from the moment it is appended, at the leader and at followers", () => {
    const tier = led("a", "b", "c");

    change(tier, "a", { kind: "remove", id: "c" });
    assert.deepEqual(voterIds(tier.core("a").membership), ["a", "b"]);
    tier.deliver((message) => message.to === "b");

    assert.deepEqual(voterIds(tier.core("b").membership), ["a", "b"]);
    assert.equal(tier.core("b").commit, 1);
  });

  test("a change that is replaced brings the members before back", () => {
    const tier = led("a", "b", "c");
    tier.isolate("a");
    change(tier, "a", { kind: "remove", id: "c" });
    tier.pass(12);
    tier.heal();

    tier.pass(20);

    assert.deepEqual(voterIds(tier.core("a").membership), ["a", "b", "c"]);
  });

  test("a second change waits until the first is committed", () => {
    const tier = led("a", "b", "c");
    change(tier, "a", { kind: "add", id: "d", address: "" });

    assert.equal(change(tier, "a", { kind: "add", id: "e", address: "" }), "changeInProgress");
    tier.settle();

    assert.equal(change(tier, "a", { kind: "add", id: "e", address: "" }), "accepted");
  });

  test("the change that an earlier leader left behind counts as one in progress, too", () => {
    const tier = led("a", "b", "c");
    tier.isolate("c");
    change(tier, "a", { kind: "remove", id: "c" });
    tier.deliver((message) => message.to === "b");
    tier.crash("a");
    tier.heal();

    tier.at("b", (core) => core.campaign());
    tier.settle();

    // The removal of c counts for b, who needs a now: nobody else's vote makes it leader.
    assert.notEqual(tier.core("b").role, "leader");
  });

  test("the 2015 bug: no change before an entry of the leader's own term is committed", () => {
    const tier = new Tier({ voters: ["a", "b", "c", "d"] });
    tier.at("a", (core) => core.campaign());
    for (let step = 0; step < 4; step++) tier.deliver();
    assert.equal(tier.core("a").role, "leader");

    assert.equal(change(tier, "a", { kind: "remove", id: "d" }), "termNotCommitted");
    tier.settle();

    assert.equal(change(tier, "a", { kind: "remove", id: "d" }), "accepted");
  });

  test("a member votes for a candidate that its own members do not name", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });
    const last = { index: 0, term: 0 };

    tier.give({ from: "d", to: "a", term: 1, kind: "vote", last, isTransfer: false });

    assert.equal(tier.core("a").status().vote, "d");
  });

  test("a member accepts entries of a leader that its own members do not name", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });

    tier.give({ from: "d", to: "a", term: 1, kind: "heartbeat", round: 0 });

    assert.equal(tier.core("a").leaderId, "d");
  });

  test("a learner votes when it is asked: it may be a voter without knowing", () => {
    // a and d know that d is a voter; c is down, and d's log lacks the promotion.
    const tier = led("a", "b", "c");
    tier.start("d");
    change(tier, "a", { kind: "add", id: "d", address: "" });
    tier.settle();
    change(tier, "a", { kind: "promote", id: "d" });
    tier.cut("a", "d");
    tier.settle();
    tier.crash("a");
    tier.crash("c");
    assert.equal(findMember(tier.core("d").membership, "d")?.role, "learner");

    tier.tick(["d"], 10);
    tier.at("b", (core) => core.campaign());
    tier.settle();

    // Two of four are not enough, but d's vote is among them.
    assert.deepEqual(tier.core("b").status().votes, [
      { voter: "b", isGranted: true },
      { voter: "d", isGranted: true },
    ]);
  });

  test("a member that knows no tier neither votes nor campaigns", () => {
    const tier = led("a", "b", "c");
    const wiped = tier.start("d");
    const last = { index: 9, term: 9 };

    tier.give({ from: "a", to: "d", term: 9, kind: "vote", last, isTransfer: true });
    tier.give({ from: "a", to: "d", term: 9, kind: "preVote", last });
    tier.tick(["d"], 100);
    tier.at("d", (core) => core.campaign());

    assert.deepEqual([wiped.core.role, wiped.core.term], ["follower", 0]);
    assert.deepEqual(tier.queue, []);
  });
});

describe("dissertation, section 4.2.1, catching up new members", () => {
  test("a learner receives the log and does not count for quorums", () => {
    const tier = led("a");
    tier.start("d");
    change(tier, "a", { kind: "add", id: "d", address: "d:1" });
    tier.isolate("d");

    tier.propose("a", "x");
    assert.equal(tier.core("a").commit, 3);
    tier.heal();
    tier.pass(2);

    assert.deepEqual(tier.terms("d"), [1, 1, 1]);
    assert.equal(findMember(tier.core("d").membership, "d")?.address, "d:1");
  });

  test("a learner does not campaign", () => {
    const tier = new Tier({ voters: ["a"], learners: ["d"] });

    tier.tick(["d"], 100);

    assert.equal(tier.core("d").role, "follower");
    assert.equal(tier.core("d").term, 0);
  });

  test("a learner is promoted only when it lacks little, and is there", () => {
    const tier = new Tier({ voters: ["a"], learners: ["d"], config: { maxPromotionLag: 2 } });
    tier.settle();
    tier.isolate("d");
    for (const text of ["x", "y", "z"]) tier.propose("a", text);

    assert.equal(change(tier, "a", { kind: "promote", id: "d" }), "learnerLags");
    tier.heal();
    tier.pass(2);
    assert.equal(change(tier, "a", { kind: "promote", id: "d" }), "accepted");
  });

  test("a learner that has lost its disk is not promoted for what it once had", () => {
    const tier = led("a", "b", "c");
    tier.start("d");
    change(tier, "a", { kind: "add", id: "d", address: "" });
    tier.pass(2);

    tier.member("d").wipe([]);
    tier.pass(2);

    assert.equal(change(tier, "a", { kind: "promote", id: "d" }), "learnerLags");
    assert.equal(
      tier
        .core("a")
        .status()
        .peers.find((peer) => peer.id === "d")?.hasForgotten,
      true,
    );
  });
});

describe("dissertation, section 4.2.2, removing the current leader", () => {
  test("it leads until its removal is committed, without counting itself", () => {
    const tier = led("a", "b", "c");
    change(tier, "a", { kind: "remove", id: "a" });

    tier.deliver((message) => message.to === "b");
    tier.deliver((message) => message.from === "b");
    assert.equal(tier.core("a").role, "leader");
    tier.settle();

    assert.equal(tier.core("a").role, "follower");
    assert.deepEqual(voterIds(tier.core("b").membership), ["b", "c"]);
    assert(tier.members.some((member) => member.id !== "a" && member.core.role === "leader"));
  });

  test("one whose removal nobody else has can still campaign: its log may be the only one that can win", () => {
    const tier = led("a", "b");
    tier.isolate("b");
    change(tier, "a", { kind: "remove", id: "a" });
    tier.tick(["a"], 10);
    assert.equal(tier.core("a").role, "follower");
    tier.drop();
    tier.heal();

    tier.pass(60);

    assert.deepEqual(voterIds(tier.core("b").membership), ["b"]);
    assert.equal(tier.core("b").role, "leader");
  });
});

describe("what keeps a tier alive through changes", () => {
  test("the last voter stays", () => {
    const tier = led("a");

    assert.equal(change(tier, "a", { kind: "remove", id: "a" }), "lastVoter");
    assert.equal(change(tier, "a", { kind: "demote", id: "a" }), "lastVoter");
  });

  test("a voter stays as long as too few others are there", () => {
    const tier = led("a", "b", "c");
    tier.pass(1);
    tier.crash("c");
    tier.pass(10);

    assert.equal(change(tier, "a", { kind: "remove", id: "b" }), "quorumAway");
    assert.equal(change(tier, "a", { kind: "demote", id: "b" }), "quorumAway");
    assert.equal(change(tier, "a", { kind: "remove", id: "c" }), "accepted");
  });

  test("a voter stays until a new leader has heard from enough others", () => {
    const tier = led("a", "b", "c", "d", "e");
    tier.crash("d");
    tier.crash("e");
    tier.at("a", (core) => core.transferLeadership("b"));
    tier.settle();
    assert.equal(tier.core("b").role, "leader");

    // d and e could still be there for all it knows, but have said nothing yet.
    assert.equal(change(tier, "b", { kind: "remove", id: "c" }), "quorumAway");
  });

  test("a removed member that does not listen is forgotten after an election timeout", () => {
    const tier = led("a", "b", "c");
    tier.crash("c");
    tier.at("a", (core) => core.reportUnreachable("c"));
    change(tier, "a", { kind: "remove", id: "c" });
    tier.settle();

    tier.pass(10);

    assert.deepEqual(
      tier
        .core("a")
        .status()
        .peers.map((peer) => peer.id),
      ["b"],
    );
  });

  test("a member that is removed learns it and campaigns no more", () => {
    const tier = led("a", "b", "c");
    change(tier, "a", { kind: "remove", id: "c" });
    tier.settle();

    tier.pass(100);

    assert.deepEqual(voterIds(tier.core("c").membership), ["a", "b"]);
    assert.deepEqual([tier.core("c").role, tier.core("c").term], ["follower", 1]);
    assert.deepEqual(
      tier
        .core("a")
        .status()
        .peers.map((peer) => peer.id),
      ["b"],
    );
  });

  test("one that is added again under its id begins from nothing", () => {
    const tier = led("a", "b", "c");
    // c has not been told yet that it was removed.
    tier.cut("a", "c");
    tier.at("a", (core) => core.reportUnreachable("c"));
    change(tier, "a", { kind: "remove", id: "c" });
    tier.settle();
    assert.equal(
      tier
        .core("a")
        .status()
        .peers.find((peer) => peer.id === "c")?.match,
      1,
    );
    change(tier, "a", { kind: "add", id: "c", address: "" });

    const progress = tier
      .core("a")
      .status()
      .peers.find((peer) => peer.id === "c");

    assert.equal(progress?.match, 0);
  });

  test("what is committed by a smaller quorum is committed at once", () => {
    const tier = led("a", "b");
    tier.pass(1);

    change(tier, "a", { kind: "demote", id: "b" });

    assert.equal(tier.core("a").commit, 2);
  });

  test("a members entry is readable, and sorted whatever order it came in", () => {
    const [b, a] = [..."ba"].map((id) => ({ id, role: "voter" as const, address: "" }));
    assert(a !== undefined && b !== undefined);

    const text = new TextDecoder().decode(encodeMembership([b, a]));

    assert.equal(text, '[{"id":"a","role":"voter","address":""},{"id":"b","role":"voter","address":""}]');
  });
});

/** The first one leads. */
function led(...voters: readonly string[]): Tier {
  const tier = new Tier({ voters });
  const [first = ""] = voters;
  if (voters.length > 1) tier.elect(first);
  return tier;
}

function change(tier: Tier, id: string, wish: MembershipChange): string {
  const result = tier.at(id, (core) => core.proposeMembership(wish));
  return result.isAccepted ? "accepted" : result.reason;
}

function kinds(tier: Tier): readonly string[] {
  return tier.queue.map((message) => message.kind);
}
