import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { HealthVoteSchema } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { MemberVote } from "../health/world.js";
import { VoteJournal } from "./vote-journal.js";
import { decodeVote, encodeVote } from "./vote-wire.js";

const NODE = { cluster: "web", addr: "10.0.0.1:80" };

function aVote(changes: Partial<MemberVote> = {}): MemberVote {
  const verdict = changes.verdict ?? "healthy";
  return {
    epoch: 3,
    policyRevision: 7,
    verdict,
    isInformed: true,
    isConclusive: false,
    cause: "",
    ballot: {
      voter: "c2",
      verdict,
      rule: "agent a1: passed 5 times in a row",
      evidence: [
        {
          observer: "a1",
          check: "http",
          outcome: verdict === "healthy" ? "passed" : "failed",
          reason: verdict === "healthy" ? null : "timedOut",
          detail: verdict === "healthy" ? "" : "no reply within 1000 ms",
          ageMs: 12,
          latencyMs: 3.5,
          consecutive: 5,
          threshold: 2,
          isConclusive: false,
          isAbstaining: false,
        },
      ],
    },
    ...changes,
  };
}

test("a vote arrives as it was cast, with its evidence", () => {
  for (const vote of [aVote(), aVote({ verdict: "down", isConclusive: true, cause: "http: timedOut" })]) {
    const bytes = toBinary(HealthVoteSchema, create(HealthVoteSchema, encodeVote({ node: NODE, vote })));

    assert.deepEqual(decodeVote(fromBinary(HealthVoteSchema, bytes), "c2"), { node: NODE, vote });
  }
});

test("nobody votes for another coordinator", () => {
  const wire = create(HealthVoteSchema, encodeVote({ node: NODE, vote: aVote() }));

  assert.throws(() => decodeVote(wire, "c3"), {
    code: "INVALID_ARGUMENT",
    message: /"c3" sends a vote of "c2"/,
  });
});

test("a healthy vote is sent once, and again after ten seconds; how often its check passed is no news", () => {
  const journal = new VoteJournal();
  const later = aVote({ ballot: { ...aVote().ballot, rule: "agent a1: passed 6 times in a row" } });

  assert.equal(journal.take({ node: NODE, vote: aVote() }, 0), true);
  assert.equal(journal.take({ node: NODE, vote: later }, 1_000), false);
  assert.equal(journal.take({ node: NODE, vote: later }, 10_000), true);
});

test("whatever changes the count or what people are told is sent at once", () => {
  const changes: readonly Partial<MemberVote>[] = [
    { verdict: "down" },
    { verdict: "down", isConclusive: true },
    { verdict: "down", isConclusive: true, cause: "refused" },
    { epoch: 4 },
    { policyRevision: 8 },
    { isInformed: false },
  ];
  const journal = new VoteJournal();
  journal.take({ node: NODE, vote: aVote() }, 0);

  for (const each of changes) assert.equal(journal.take({ node: NODE, vote: aVote(each) }, 1), true);
});

test("an accusing vote is repeated soon, so that its evidence in a cut is fresh", () => {
  const journal = new VoteJournal();
  const vote = aVote({ verdict: "down" });
  journal.take({ node: NODE, vote }, 0);

  assert.equal(journal.take({ node: NODE, vote }, 1_000), false);
  assert.equal(journal.take({ node: NODE, vote }, 1_500), true);
});

test("a node that left is forgotten, so that the same one back is told anew", () => {
  const journal = new VoteJournal();
  journal.take({ node: NODE, vote: aVote() }, 0);

  journal.forget(() => true);

  assert.equal(journal.take({ node: NODE, vote: aVote() }, 1), true);
});
