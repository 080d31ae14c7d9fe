import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantViolation } from "./invariant.js";
import { encodeMembership } from "./membership.js";
import type { Membership } from "./membership.js";
import { MembershipHistory } from "./membership-history.js";

const only = (id: string): Membership => [{ id, role: "voter", address: "" }];

test("the history knows the members as of any index since its base", () => {
  const history = historyOf();

  assert.deepEqual(
    [5, 6, 7, 8, 9, 99].map((index) => history.at(index)[0]?.id),
    ["a", "a", "b", "b", "c", "c"],
  );
  assert.deepEqual([history.current, history.currentIndex], [only("c"), 9]);
});

test("entries of other kinds do not concern it", () => {
  const history = historyOf();

  history.append({ index: 10, term: 1, kind: "command", payload: new Uint8Array([1]) });

  assert.equal(history.currentIndex, 9);
});

test("a compaction keeps the members as of the new base, and forgets those before", () => {
  const history = historyOf();

  history.compact(8);

  assert.deepEqual(history.at(8), only("b"));
  assert.throws(() => history.at(6), InvariantViolation);
});

test("a truncation cannot reach before the base", () => {
  const history = historyOf();

  history.truncateAfter(5);
  assert.deepEqual(history.current, only("a"));

  assert.throws(() => history.truncateAfter(4), InvariantViolation);
});

/** a as of 5, b from 7 on, c from 9 on. */
function historyOf(): MembershipHistory {
  const history = new MembershipHistory({ index: 5, membership: only("a") });
  history.append({ index: 7, term: 1, kind: "members", payload: encodeMembership(only("b")) });
  history.append({ index: 9, term: 1, kind: "members", payload: encodeMembership(only("c")) });
  return history;
}
