import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeState } from "../../common/model/node.js";
import { downQuorum, tally, upQuorum } from "./tally.js";
import type { Vote } from "./tally.js";
import { fc } from "../../test/support/properties.js";

function votes(...states: readonly NodeState[]): readonly Vote[] {
  return states.map((verdict) => ({ verdict, isInformed: verdict !== "unknown" }));
}

function outcome(
  states: readonly NodeState[],
  policy: "majority" | "any" | "all" | number,
  members: number,
): string {
  const counted = tally(votes(...states), policy, members);
  return counted.kind === "decided" ? counted.state : counted.kind;
}

test("quorums count over the configured members, whoever answers", () => {
  assert.equal(outcome(["down"], "majority", 3), "silent");
  assert.equal(outcome(["down", "down"], "majority", 3), "down");
  assert.equal(outcome(["down", "healthy", "healthy"], "majority", 3), "healthy");
});

test("policies: any, all, and a number", () => {
  assert.equal(outcome(["down", "healthy", "healthy"], "any", 3), "down");
  assert.equal(outcome(["healthy", "healthy", "unknown"], "any", 3), "hold");
  assert.equal(outcome(["down", "down", "healthy"], "all", 3), "healthy");
  assert.equal(outcome(["down", "down", "unknown"], 3, 3), "hold");
  assert.equal(outcome(["down"], 9, 1), "down");
});

test("neither quorum reached, or a tie: the state is held", () => {
  assert.equal(outcome(["down", "healthy"], "majority", 2), "healthy");
  assert.equal(outcome(["down", "down", "healthy", "healthy", "unknown"], "majority", 5), "hold");
});

test("down and degraded votes together take a node out of use", () => {
  assert.equal(outcome(["down", "degraded", "healthy"], "majority", 3), "degraded");
  assert.equal(outcome(["degraded"], "majority", 1), "degraded");
});

test("no quorum of voters with evidence is silence, not a verdict", () => {
  assert.equal(outcome(["unknown"], "majority", 1), "silent");
  assert.equal(tally([{ verdict: "unknown", isInformed: true }], "majority", 1).kind, "hold");
});

test("down and healthy can never both be reached", () => {
  const policies = fc.oneof(
    fc.constantFrom("majority" as const, "any" as const, "all" as const),
    fc.integer({ min: 1, max: 9 }),
  );
  fc.assert(
    fc.property(policies, fc.integer({ min: 1, max: 7 }), (policy, members) => {
      const needed = downQuorum(policy, members);
      assert.ok(needed >= 1 && needed <= members);
      assert.equal(needed + upQuorum(policy, members), members + 1);
    }),
  );
});
