import assert from "node:assert/strict";
import { test } from "node:test";

import type { ApplyOutcome } from "../../appliers/applier.js";
import type { Clock } from "../../common/clock.js";
import { bundleFixture as bundle, outcomeOf } from "../../test/support/delivery-fixtures.js";
import type { LedgerLine } from "./ledger.js";
import { Target } from "./target.js";

test("a generation is ordered once, and the answer converges it", () => {
  const { target, sent, settled } = harness();

  target.want(bundle("A"));
  target.want(bundle("A"));
  assert.equal(target.line().state, "pending");
  target.answer(outcome("A"));

  assert.deepEqual(sent, ["A"]);
  assert.deepEqual(
    settled.map((line) => line.state),
    ["converged"],
  );
});

test("a failure is tried again, later each time, up to half a minute", () => {
  const { target, sent, run, settled } = harness();
  target.want(bundle("A"));

  const waits: number[] = [];
  for (let round = 0; round < 7; round++) {
    target.answer(outcome("A", { error: "disk full", appliedGeneration: "" }));
    waits.push(run());
  }

  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assert.equal(sent.length, 8);
  assert.equal(settled.at(-1)?.state, "failed");
  assert.equal(settled.at(-1)?.error, "disk full");
});

test("an answer to an older order neither converges nor fails the newer one", () => {
  const { target, settled } = harness();
  target.want(bundle("A"));
  target.want(bundle("B"));

  target.answer(outcome("A"));

  assert.equal(target.line().state, "pending");
  assert.deepEqual(settled, []);
});

test("going back to a generation while another is on its way orders it again", () => {
  const { target, sent } = harness();
  target.want(bundle("A"));
  target.answer(outcome("A"));
  target.want(bundle("B"));

  target.want(bundle("A"));

  assert.deepEqual(sent, ["A", "B", "A"]);
  assert.equal(target.line().state, "pending");
});

test("an agent that comes back with what is wanted is not ordered anything", () => {
  const { target, sent } = harness();
  target.want(bundle("A"));
  target.answer(outcome("A"));
  target.lost();
  assert.equal(target.line().state, "unreachable");

  target.report(outcome("A"));
  target.found(bundle("A"));

  assert.deepEqual(sent, ["A"]);
  assert.equal(target.line().state, "converged");
});

test("an agent that comes back with something else is ordered what is wanted", () => {
  const { target, sent } = harness();
  target.want(bundle("A"));
  target.answer(outcome("A"));
  target.lost();

  target.report(outcome("older"));
  target.found(bundle("A"));

  assert.deepEqual(sent, ["A", "A"]);
});

test("an order that is never answered fails and is given again", () => {
  const { target, sent, run } = harness();
  target.want(bundle("A"));

  assert.equal(run(), 60_000);
  assert.equal(target.line().error, "No answer within 60 s");
  run();

  assert.deepEqual(sent, ["A", "A"]);
});

test("a proxy that runs something else than the file says has not converged", () => {
  const { target } = harness();
  target.want(bundle("A"));

  target.answer(outcome("A", { observedGeneration: "B" }));

  assert.equal(target.line().state, "failed");
});

test("drift is told, ordered again and mended", () => {
  const { target, sent, settled } = harness();
  target.want(bundle("A"));
  target.answer(outcome("A"));

  target.drift({ appliedGeneration: "X", observedGeneration: "X", error: "" });
  assert.equal(target.line().state, "drifted");
  target.answer(outcome("A"));

  assert.deepEqual(sent, ["A", "A"]);
  assert.deepEqual(
    settled.map((line) => line.state),
    ["converged", "drifted", "converged"],
  );
});

test("what a proxy's agent tells unasked is drift only where something else was wanted and had converged", () => {
  const { target, sent } = harness();
  target.want(bundle("A"));
  target.sighted(outcome("A", { appliedGeneration: "old" }));
  const early = target.line().state;
  target.answer(outcome("A"));

  target.sighted(outcome("A"));
  const same = target.line().state;
  target.sighted(outcome("A", { observedGeneration: "X" }));

  assert.deepEqual([early, same, target.line().state], ["pending", "converged", "drifted"]);
  assert.deepEqual(sent, ["A", "A"]);
});

function harness() {
  const sent: string[] = [];
  const settled: LedgerLine[] = [];
  let timer: { readonly ms: number; readonly callback: () => void } | null = null;
  const clock: Clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    sleep: async () => undefined,
    after: (ms, callback) => {
      const mine = { ms, callback };
      timer = mine;
      return () => {
        if (timer === mine) timer = null;
      };
    },
  };
  const target = new Target({
    target: "agent-1",
    clock,
    random: () => 0.5,
    send: (wanted) => {
      sent.push(wanted.generation);
      return true;
    },
    onSettled: (line) => settled.push(line),
  });
  /** Lets the timer that waits run out; how long it would have waited. */
  const run = (): number => {
    assert.ok(timer !== null, "no timer waits");
    const { ms, callback } = timer;
    timer = null;
    callback();
    return ms;
  };
  return { target, sent, settled, run };
}

function outcome(generation: string, changes: Partial<ApplyOutcome> = {}): ApplyOutcome {
  return outcomeOf(bundle(generation), changes);
}
