import assert from "node:assert/strict";
import { test } from "node:test";
import { placeOfRun } from "./run-owners.js";
import type { OwnersView } from "./run-owners.js";

const LEADER: OwnersView = {
  ownId: "c1",
  isLeader: true,
  presenceOf: () => undefined,
  leadingMs: 200_000,
  nowMs: 300_000,
};
const begunBy = (startedBy: string): { startedBy: string; limitMs: number } => ({
  startedBy,
  limitMs: 45_000,
});
const seen = (isConnected: boolean, sinceMs: number, leadingMs = 200_000): OwnersView => ({
  ...LEADER,
  leadingMs,
  presenceOf: (id) => (id === "c2" ? { bootId: "b", isConnected, sinceMs } : undefined),
});

test("a run is settled by the coordinator that began it, in whichever life, leader or not", () => {
  for (const isLeader of [true, false]) {
    assert.equal(placeOfRun(begunBy("coordinator:c1#b1"), { ...LEADER, isLeader }), "here");
  }
  assert.equal(placeOfRun(begunBy("coordinator:c2#b1"), seen(true, 0)), "elsewhere");
  assert.equal(placeOfRun(begunBy("coordinator:c2#b1"), { ...LEADER, isLeader: false }), "elsewhere");
});

test("a run whose coordinator is away is lost once its command must have ended", () => {
  const run = begunBy("coordinator:c2#b1");

  assert.equal(placeOfRun(run, seen(false, 260_000)), "elsewhere", "it went 40 s ago");
  assert.equal(placeOfRun(run, seen(false, 250_000)), "lost", "it went 50 s ago");
});

test("what a coordinator did while another led, a new leader does not know: the time counts from its election", () => {
  const run = begunBy("coordinator:c2#b1");

  assert.equal(placeOfRun(run, { ...LEADER, leadingMs: 40_000 }), "elsewhere");
  assert.equal(placeOfRun(run, seen(false, 0, 40_000)), "elsewhere");
  assert.equal(placeOfRun(run, { ...LEADER, leadingMs: 50_000 }), "lost");
});

test("a run from before there was a tier is settled by the leader", () => {
  for (const run of [begunBy("leader"), {}]) {
    assert.equal(placeOfRun(run, LEADER), "here");
    assert.equal(placeOfRun(run, { ...LEADER, isLeader: false }), "elsewhere");
  }
});
