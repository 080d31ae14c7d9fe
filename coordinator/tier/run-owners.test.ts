import assert from "node:assert/strict";
import { test } from "node:test";
import { isUnderWayElsewhere } from "./run-owners.js";
import type { OwnersView } from "./run-owners.js";

const VIEW: OwnersView = {
  own: "coordinator:c1#b1",
  members: ["c1", "c2"],
  presenceOf: () => undefined,
  leadingMs: 60_000,
  nowMs: 100_000,
};
const begunBy = (startedBy: string): { startedBy: string } => ({ startedBy });
const seen = (bootId: string, isConnected: boolean, sinceMs: number): OwnersView => ({
  ...VIEW,
  presenceOf: (id) => (id === "c2" ? { bootId, isConnected, sinceMs } : undefined),
});

test("a run goes on elsewhere while the coordinator that began it lives in the same life", () => {
  const run = begunBy("coordinator:c2#b2");

  assert.equal(isUnderWayElsewhere(run, seen("b2", true, 0)), true);
  assert.equal(isUnderWayElsewhere(run, seen("b3", true, 0)), false, "it was restarted");
  assert.equal(isUnderWayElsewhere(run, seen("b2", false, 95_000)), true, "it went a moment ago");
  assert.equal(isUnderWayElsewhere(run, seen("b2", false, 80_000)), false);
});

test("a new leader gives the one before time to report, and a removed one none", () => {
  const run = begunBy("coordinator:c2#b2");

  assert.equal(isUnderWayElsewhere(run, { ...VIEW, leadingMs: 500 }), true);
  assert.equal(isUnderWayElsewhere(run, VIEW), false);
  assert.equal(isUnderWayElsewhere(run, { ...VIEW, leadingMs: 500, members: ["c1"] }), false);
});

test("what this life began, or an older version, goes on nowhere else", () => {
  assert.equal(isUnderWayElsewhere(begunBy("coordinator:c1#b1"), VIEW), false);
  assert.equal(isUnderWayElsewhere(begunBy("leader"), VIEW), false);
  assert.equal(isUnderWayElsewhere({}, VIEW), false);
});
