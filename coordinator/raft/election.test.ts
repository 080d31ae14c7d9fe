import assert from "node:assert/strict";
import { test } from "node:test";
import { Election } from "./election.js";

test("a voter's first answer counts", () => {
  const election = new Election("vote", ["a", "b", "c"]);
  election.record("a", true);

  assert.equal(election.record("b", false), "pending");
  assert.equal(election.record("b", true), "pending");
  assert.deepEqual(election.silent, ["c"]);

  assert.deepEqual(election.votes, [
    { voter: "a", isGranted: true },
    { voter: "b", isGranted: false },
  ]);
});

test("a stranger's answer is not among the votes", () => {
  const election = new Election("vote", ["a", "b", "c"]);
  election.record("a", true);

  assert.equal(election.record("x", true), "pending");

  assert.deepEqual(election.votes, [{ voter: "a", isGranted: true }]);
});

test("a single voter wins with its own vote", () => {
  assert.equal(new Election("preVote", ["a"]).record("a", true), "won");
});
