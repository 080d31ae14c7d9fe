import assert from "node:assert/strict";
import { test } from "node:test";
import { grantsPreVote, grantsVote } from "./voter.js";

const LAST = { index: 5, term: 2 };
const VOTER = { term: 3, vote: null, leaderId: null, last: LAST };

test("a vote is free once per term, and stays with the one who has it", () => {
  assert.equal(grantsVote(VOTER, { id: "a", last: LAST }), true);
  assert.equal(grantsVote({ ...VOTER, vote: "a" }, { id: "a", last: LAST }), true);
  assert.equal(grantsVote({ ...VOTER, vote: "b" }, { id: "a", last: LAST }), false);
});

test("no vote is given where somebody has won the term already", () => {
  assert.equal(grantsVote({ ...VOTER, leaderId: "b" }, { id: "a", last: LAST }), false);
  assert.equal(grantsVote({ ...VOTER, leaderId: "a", vote: "a" }, { id: "a", last: LAST }), true);
});

test("a log that is behind gets neither vote nor pre-vote", () => {
  for (const last of [
    { index: 4, term: 2 },
    { index: 9, term: 1 },
  ]) {
    assert.equal(grantsVote(VOTER, { id: "a", last }), false);
    assert.equal(grantsPreVote(VOTER, { askedTerm: 3, last, isLeaderHeard: false }), false);
  }
});

test("a pre-vote is about the term after the one it is asked in, whatever was voted before", () => {
  const voted = { ...VOTER, vote: "b" };

  assert.equal(grantsPreVote(voted, { askedTerm: 3, last: LAST, isLeaderHeard: false }), true);
  assert.equal(grantsPreVote(voted, { askedTerm: 2, last: LAST, isLeaderHeard: false }), false);
  assert.equal(grantsPreVote(voted, { askedTerm: 7, last: LAST, isLeaderHeard: true }), false);
});
