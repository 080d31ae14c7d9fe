/** Damping, budgets, warm-up and gathering: what protects a cluster from our own mistakes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { POLICY, aCluster, aNode, aRecord } from "../../test/support/decision-fixtures.js";
import { dampingAfter } from "../state/damping.js";
import { BATCHING, cutDueAtMs } from "./batching.js";
import type { Gathering } from "./batching.js";
import { RemovalBudget, isZoneBad } from "./budget.js";
import type { ClusterLoad } from "./budget.js";
import { returnDelayMs } from "./damping.js";
import { holdOf } from "./gate.js";
import type { GateContext } from "./gate.js";
import { Loads } from "./loads.js";
import { fc } from "../../test/support/properties.js";

const LOAD: ClusterLoad = { cluster: "web", size: 20, removed: 0, share: 0.34, isZoneBad: false };
const CONTEXT: GateContext = { policy: POLICY, isInPanic: false, leaderNowMs: 1_000, warmUpLeftMs: 0 };

test("a node may fail twice in a row without waiting, and at most four half-lives after many", () => {
  assert.equal(returnDelayMs({ penalty: 2_000, atMs: 0 }, 0), 0);
  assert.equal(returnDelayMs({ penalty: 3_000, atMs: 0 }, 0), 120_000);
  assert.equal(returnDelayMs({ penalty: 3_000, atMs: 0 }, 80_000), 40_000);
  assert.equal(returnDelayMs({ penalty: 12_000, atMs: 0 }, 0), 240_000);
});

test("damping ends for every history of failures", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 60 }), (gaps) => {
      let nowMs = 0;
      let damping = { penalty: 0, atMs: 0 };
      for (const gapMs of gaps) damping = dampingAfter(damping, "healthy", "down", (nowMs += gapMs));
      assert.ok(returnDelayMs(damping, nowMs) <= 240_000);
      assert.equal(returnDelayMs(damping, nowMs + 240_000), 0);
    }),
  );
});

test("damping delays a return, never a removal, and is waived in panic or when switched off", () => {
  const flapping = aRecord(aNode(1), {
    state: "down",
    heldState: "down",
    damping: { penalty: 3_000, atMs: 1_000 },
  });
  const back = { record: flapping, to: "healthy", isConclusive: false } as const;

  assert.equal(holdOf(back, CONTEXT), "it failed too often: return is damped for another 120 s");
  assert.equal(holdOf(back, { ...CONTEXT, isInPanic: true }), null);
  assert.equal(holdOf(back, { ...CONTEXT, policy: { isDampingEnabled: false } }), null);
  const leaving = { record: { ...flapping, state: "healthy", heldState: "healthy" }, to: "down" } as const;
  assert.equal(holdOf({ ...leaving, isConclusive: false }, CONTEXT), null);
});

test("damping holds a node that was down before it became unknown", () => {
  const record = aRecord(aNode(1), {
    state: "unknown",
    heldState: "down",
    damping: { penalty: 3_000, atMs: 1_000 },
  });

  assert.match(holdOf({ record, to: "healthy", isConclusive: false }, CONTEXT) ?? "", /damped/);
});

test("until everybody was heard only certain deaths are believed", () => {
  const context = { ...CONTEXT, warmUpLeftMs: 2_500 };
  const record = aRecord(aNode(1));

  assert.match(holdOf({ record, to: "down", isConclusive: false }, context) ?? "", /for another 3 s/);
  assert.equal(holdOf({ record, to: "down", isConclusive: true }, context), null);
});

test("timeouts remove at most the budget's share of a cluster, but always one", () => {
  const budget = new RemovalBudget();

  assert.equal(budget.take({ ...LOAD, size: 2, removed: 0 }, 0).isGranted, true);
  const answer = budget.take({ ...LOAD, removed: 6 }, 0);
  assert.equal(answer.isGranted, false);
  assert.match(
    answer.isGranted ? "" : answer.words,
    /removal budget of cluster web is used up: 6 of at most 6/,
  );
});

test("removals go at half a node per second after a burst of a tenth, and slower in a bad zone", () => {
  const budget = new RemovalBudget();
  const granted = (nowMs: number, load = LOAD): boolean => budget.take(load, nowMs).isGranted;

  assert.deepEqual([granted(0), granted(0), granted(0)], [true, true, false]);
  assert.deepEqual([granted(1_900), granted(2_000), granted(2_000)], [false, true, false]);
  const bad = { ...LOAD, isZoneBad: true };
  assert.deepEqual([granted(21_000, bad), granted(22_001, bad)], [false, true]);
});

test("a zone is bad from three nodes and over 55 % on", () => {
  assert.equal(isZoneBad(2, 2), false);
  assert.equal(isZoneBad(5, 10), false);
  assert.equal(isZoneBad(6, 10), true);
});

test("certain deaths use up no budget, an unknown node is counted as what it was", () => {
  const records = [
    aRecord(aNode(1), { state: "down", heldState: "down", isConclusive: true }),
    aRecord(aNode(2), { state: "down", heldState: "down" }),
    aRecord(aNode(3), { state: "unknown", heldState: "degraded" }),
    aRecord(aNode(4)),
  ];
  const nodes = new Map(records.map((record) => [record.addr, record]));
  const loads = new Loads(
    nodes,
    (key) => key === aNode(4).addr,
    () => "",
  );

  assert.equal(loads.of(aNode(4), aCluster()).removed, 3);
  loads.add(aNode(4));
  assert.equal(loads.of(aNode(4), aCluster()).removed, 4);
});

const ALONE: Gathering = {
  firstAtMs: 0,
  lastAtMs: 0,
  firstConclusiveAtMs: null,
  changes: 1,
  undecided: 0,
  dying: 0,
};

test("a single death goes at once, several wait for each other, none for long", () => {
  const death = { ...ALONE, firstConclusiveAtMs: 0 };

  assert.equal(cutDueAtMs(death), BATCHING.quietMs);
  assert.equal(cutDueAtMs({ ...death, lastAtMs: 10, changes: 2 }), 10 + BATCHING.quietTogetherMs);
  assert.equal(cutDueAtMs({ ...death, undecided: 4, dying: 4 }), BATCHING.conclusiveMaxMs);
  assert.equal(cutDueAtMs({ ...death, lastAtMs: 500, changes: 9 }), BATCHING.conclusiveMaxMs);
});

test("timeouts wait for those who may follow, at most a quarter of a second", () => {
  assert.equal(cutDueAtMs(ALONE), BATCHING.quietMs);
  assert.equal(cutDueAtMs({ ...ALONE, undecided: 1 }), BATCHING.maxMs);
  assert.equal(cutDueAtMs({ ...ALONE, lastAtMs: 400, changes: 30 }), BATCHING.maxMs);
});
