import assert from "node:assert/strict";
import { test } from "node:test";
import { assertOneTier, bestOf } from "./recover-quorum.js";
import type { Survivor } from "./recover-quorum.js";

const survivor = (
  coordinatorId: string,
  term: number,
  index: number,
  changes: Partial<Survivor> = {},
): Survivor => ({
  directory: `/data/${coordinatorId}`,
  coordinatorId,
  clusterId: "k1",
  term: 9,
  last: { index, term },
  problem: null,
  ...changes,
});

test("the later last term has the most, then the longer log; the first of equals", () => {
  const long = survivor("c1", 3, 900);
  const late = survivor("c2", 4, 100);
  const later = survivor("c3", 4, 101);

  assert.equal(bestOf([long, late])?.coordinatorId, "c2");
  assert.equal(bestOf([late, later, long])?.coordinatorId, "c3");
  assert.equal(bestOf([late, { ...late, coordinatorId: "c9" }])?.coordinatorId, "c2");
});

test("a damaged log is never begun from", () => {
  const damaged = survivor("c1", 9, 900, { problem: "damaged" });

  assert.equal(bestOf([damaged, survivor("c2", 1, 1)])?.coordinatorId, "c2");
  assert.equal(bestOf([damaged]), null);
});

test("directories of different tiers are not compared", () => {
  const other = survivor("c2", 1, 1, { clusterId: "k2" });

  assert.throws(() => assertOneTier([survivor("c1", 1, 1), other]), { message: /2 tiers: k1, k2/ });
  assert.doesNotThrow(() => assertOneTier([survivor("c1", 1, 1), { ...other, clusterId: "" }]));
});
