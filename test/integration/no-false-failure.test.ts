import assert from "node:assert/strict";
import { test } from "node:test";

import { soak } from "../../bench/support/false-failures.js";

test("200 healthy services stay healthy while every CPU of the host is taken", async () => {
  const result = await soak({ checks: 200, durationMs: 20_000, hogs: 2 });

  assert.deepEqual(result.falseFailures, []);
  // An observer that looked at nothing would have found no fault either.
  assert.ok(result.runs >= 200, `only ${result.runs} runs`);
});
