import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "../../test/support/properties.js";
import { hasQuorum, quorumIndex, quorumOf, tally } from "./quorum.js";

test("quorumOf() is more than half", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(quorumOf), [1, 2, 2, 3, 3, 4, 4]);
});

test("quorumIndex() is the highest index that a quorum has", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 7 }), (matches) => {
      const index = quorumIndex(matches);

      const holders = (wanted: number): number => matches.filter((match) => match >= wanted).length;
      assert(holders(index) >= quorumOf(matches.length));
      assert(holders(index + 1) < quorumOf(matches.length));
    }),
  );
});

test("quorumIndex() without voters commits nothing", () => {
  assert.equal(quorumIndex([]), 0);
});

test("hasQuorum() without voters is false: nobody can agree to nothing", () => {
  assert.equal(
    hasQuorum([], () => true),
    false,
  );
});

test("tally() tells a victory or a defeat as soon as silence cannot change it", () => {
  const voters = ["a", "b", "c", "d"];
  const after = (votes: Readonly<Record<string, boolean>>): string =>
    tally(voters, new Map(Object.entries(votes)));

  assert.equal(after({ a: true, b: true }), "pending");
  assert.equal(after({ a: true, b: true, c: true }), "won");
  assert.equal(after({ a: true, b: false }), "pending");
  assert.equal(after({ a: true, b: false, c: false }), "lost");
  assert.equal(after({ a: true, b: true, stranger: true }), "pending");
});
