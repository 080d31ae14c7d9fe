import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNotRefuted } from "./ask-members.js";
import type { MemberAnswer } from "./ask-members.js";

const MEMBERS = ["c1", "c2", "c3", "c4", "c5"].map((id) => ({
  id,
  role: "voter" as const,
  address: `${id}:1`,
}));

/** What c2 to c5 say to c1. */
const answersOf = (...states: readonly MemberAnswer["state"][]): readonly MemberAnswer[] =>
  MEMBERS.slice(1).map((member, at) => ({ ...member, state: states[at] ?? "silent" }));

test("a minority that answers, with whoever asks, does not refute that the majority is lost", () => {
  assert.doesNotThrow(() => assertNotRefuted("c1", MEMBERS, answersOf()));
  assert.doesNotThrow(() => assertNotRefuted("c1", MEMBERS, answersOf("answers")));
  assert.doesNotThrow(() => assertNotRefuted("c1", MEMBERS.slice(0, 1), []));
});

test("who could form a majority by being started is told who answers, and to start", () => {
  assert.throws(() => assertNotRefuted("c1", MEMBERS, answersOf("answers", "answers")), {
    code: "CONFLICT",
    message: /c2 \(c2:1\) and c3 \(c3:1\) answer, so no majority of 5/,
    hint: /start "c1" again/,
  });
});

test("learners that answer decide nothing, and whoever is no voter does not count itself", () => {
  const learners = answersOf("answers", "answers", "answers").map((each) => ({
    ...each,
    role: "learner" as const,
  }));

  assert.doesNotThrow(() => assertNotRefuted("c1", MEMBERS, learners));
  assert.doesNotThrow(() => assertNotRefuted("c9", MEMBERS, answersOf("answers", "answers")));
});

test("one that says who asks was removed is enough", () => {
  assert.throws(() => assertNotRefuted("c1", MEMBERS, answersOf("silent", "removed")), {
    code: "CONFLICT",
    message: /c3 \(c3:1\) says that it was removed/,
    hint: /another id/,
  });
});
