/** What a member may do that was removed, or was never one, and still reaches the others. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Tier } from "../../test/support/raft/tier.js";
import type { MembershipChange } from "./membership.js";
import type { Message, MessageBody } from "./message.js";

const REQUEST = { client: "c/1", sequence: 1 };
const PAYLOAD = new TextEncoder().encode("drain all");

describe("one that was removed", () => {
  test("proposes nothing, and is told so", () => {
    const tier = withoutC();
    const { last } = tier.core("a");

    tell(tier, "a", { kind: "propose", request: REQUEST, payload: PAYLOAD });

    assert.deepEqual(tier.core("a").last, last);
    assert.deepEqual(answers(tier), [
      { kind: "proposeReply", request: REQUEST, outcome: { kind: "refused", reason: "notLeader" } },
    ]);
  });

  test("reads nothing, and is told so", () => {
    const tier = withoutC();

    tell(tier, "a", { kind: "readIndex", request: REQUEST });
    tier.deliver((message) => message.to !== "c");

    assert.deepEqual(answers(tier), [{ kind: "readIndexReply", request: REQUEST, index: null }]);
  });

  const claims: readonly MessageBody[] = [
    { kind: "heartbeatReply", round: 1, commit: 0 },
    { kind: "appendReply", isAccepted: true, match: 1 },
    { kind: "voteReply", isGranted: false },
    { kind: "preVoteReply", askedTerm: 1, isGranted: false },
    { kind: "readIndexReply", request: REQUEST, index: null },
    { kind: "propose", request: REQUEST, payload: PAYLOAD },
    { kind: "readIndex", request: REQUEST },
    { kind: "timeoutNow" },
    { kind: "vote", last: { index: 99, term: 9 }, isTransfer: true },
    { kind: "vote", last: { index: 99, term: 9 }, isTransfer: false },
  ];
  for (const claim of claims) {
    const how = "isTransfer" in claim && claim.isTransfer ? " for a transfer" : "";
    test(`ends no leadership with a ${claim.kind} of a later term${how}`, () => {
      const tier = withoutC();

      tell(tier, "a", claim, 7);
      tell(tier, "b", claim, 7);
      tier.settle();

      assert.deepEqual([tier.core("a").role, tier.core("a").term], ["leader", 1]);
      assert.deepEqual([tier.core("b").leaderId, tier.core("b").term], ["a", 1]);
    });
  }
});

describe("one that is a member as far as one can know", () => {
  test("proposes as soon as the leader has added it, as a learner", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });
    tier.elect("a");
    tier.start("d");
    change(tier, "a", { kind: "add", id: "d", address: "" });

    tell(tier, "a", { kind: "propose", request: REQUEST, payload: PAYLOAD }, 1, "d");

    assert.equal(
      new TextDecoder().decode(tier.core("a").entry(tier.core("a").last.index)?.payload),
      "drain all",
    );
  });

  test("counts until its removal is committed, for that may never be", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });
    tier.elect("a");
    tier.isolate("a");
    change(tier, "a", { kind: "remove", id: "c" });
    tier.heal();

    tell(tier, "a", { kind: "heartbeatReply", round: 0, commit: 0 }, 7);

    assert.deepEqual([tier.core("a").role, tier.core("a").term], ["follower", 7]);
  });

  test("takes leadership over also where its addition has not arrived, once the leader is silent", () => {
    const tier = new Tier({ voters: ["a", "b", "c"] });
    tier.elect("a");
    tier.isolate("b");
    tier.tick(["b"], 10);
    tier.heal();

    tell(tier, "b", { kind: "vote", last: { index: 99, term: 9 }, isTransfer: true }, 9, "d");

    assert.deepEqual([tier.core("b").status().vote, tier.core("b").term], ["d", 9]);
  });
});

/** a leads b; c was removed, and all three know. */
function withoutC(): Tier {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.elect("a");
  change(tier, "a", { kind: "remove", id: "c" });
  tier.settle();
  tier.pass(2);
  tier.drop();
  return tier;
}

function tell(tier: Tier, to: string, body: MessageBody, term = 1, from = "c"): void {
  tier.give({ from, to, term, ...body });
}

/** To the one that was removed. */
function answers(tier: Tier): readonly MessageBody[] {
  return tier.queue.filter((message) => message.to === "c").map(bodyOf);
}

function bodyOf({ from: _from, to: _to, term: _term, ...body }: Message): MessageBody {
  return body;
}

function change(tier: Tier, id: string, wish: MembershipChange): void {
  const result = tier.at(id, (core) => core.proposeMembership(wish));
  assert.equal(result.isAccepted, true);
}
