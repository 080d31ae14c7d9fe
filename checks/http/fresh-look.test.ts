import assert from "node:assert/strict";
import { test } from "node:test";
import type { Observation, Reason } from "../../common/model/observation.js";
import { countRun, endLook, initialFreshLook, judgeFreshLook } from "./fresh-look.js";
import type { FreshLook } from "./fresh-look.js";

const START: FreshLook = { runs: 0, isUnderWay: false, failures: 0, last: null };
const PASSED: Observation = { outcome: "passed", latencyMs: 1 };
const failed = (reason: Reason): Observation => ({ outcome: "failed", reason, detail: "why", latencyMs: 1 });

/** The look after so many failures in a row. */
function after(reason: Reason, failures: number): FreshLook {
  let look = START;
  for (let count = 0; count < failures; count++) look = endLook(look, failed(reason));
  return look;
}

test("a look is due every so many runs, one at a time", () => {
  let look = START;
  const due: boolean[] = [];
  for (let run = 0; run < 7; run++) {
    const counted = countRun(look, 3);
    due.push(counted.isDue);
    look = run === 3 ? endLook(counted.look, PASSED) : counted.look;
  }

  assert.deepEqual(due, [false, false, true, false, false, true, false]);
});

test("a failing look is repeated in every run until it passes", () => {
  const failing = after("timedOut", 1);

  assert.equal(countRun(failing, 100).isDue, true);
  assert.equal(countRun(endLook(failing, PASSED), 100).isDue, false);
});

test("loss warns before it degrades; a closed listener fails at once", () => {
  assert.equal(judgeFreshLook(START).kind, "nothing");
  assert.equal(judgeFreshLook(after("timedOut", 2)).kind, "warn");
  assert.equal(judgeFreshLook(after("timedOut", 3)).kind, "degraded");
  assert.equal(judgeFreshLook(after("refused", 1)).kind, "failed");
  assert.equal(judgeFreshLook(endLook(after("refused", 5), PASSED)).kind, "nothing");
});

test("what the observer could not judge changes nothing", () => {
  const look = after("timedOut", 2);

  assert.deepEqual(
    endLook(look, { outcome: "inconclusive", reason: "internal", detail: "", latencyMs: 0 }),
    look,
  );
});

test("checks made together look at different runs", () => {
  const phases = new Set(
    Array.from({ length: 50 }, (_, index) => initialFreshLook(20, `web/10.0.0.${index}:80`).runs),
  );

  assert.ok(phases.size > 10, `${phases.size} phases`);
});
