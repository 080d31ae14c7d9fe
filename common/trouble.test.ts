import assert from "node:assert/strict";
import { test } from "node:test";

import { Trouble } from "./trouble.js";

test("a trouble is told when it begins, when its reason changes, every ten minutes and when it is over", () => {
  let nowMs = 0;
  const trouble = new Trouble({ monotonicMs: () => nowMs });
  const told: string[] = [];
  const fail = (atMs: number, reason: string): void => {
    nowMs = atMs;
    const soFar = trouble.failed(reason);
    if (soFar !== null) told.push(`${reason} ${soFar.attempts} ${soFar.failedForMs}`);
  };

  for (let second = 0; second <= 1_230; second += 30) fail(second * 1_000, "disk full");
  fail(1_240_000, "no such file");
  fail(1_250_000, "no such file");

  assert.deepEqual(told, [
    "disk full 1 0",
    "disk full 21 600000",
    "disk full 41 1200000",
    "no such file 43 1240000",
  ]);
  nowMs = 1_260_000;
  assert.deepEqual(trouble.recovered(), { failedForMs: 1_260_000, attempts: 44 });
  assert.equal(trouble.recovered(), null);
});
