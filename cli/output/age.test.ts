import assert from "node:assert/strict";
import { test } from "node:test";

import { formatAge } from "./age.js";

test("formatAge() gives the two largest units and leaves out what is zero", () => {
  const ages = [0, 999, 4_000, 60_000, 130_000, 3_600_000, 3_601_000, 3_660_000, 93_600_000, 432_000_000];

  assert.deepEqual(ages.map(formatAge), ["0s", "0s", "4s", "1m", "2m10s", "1h", "1h", "1h1m", "1d2h", "5d"]);
});

test("formatAge() takes a clock that runs behind for now", () => {
  assert.equal(formatAge(-5_000), "0s");
});
