import assert from "node:assert/strict";
import { test } from "node:test";

import type { RunRecord } from "../state/model.js";
import { nextRuns } from "./queue.js";
import type { NextRuns, RunPlace } from "./queue.js";

const NOW_MS = 1_000_000;

function run(id: string, trigger: string, more: Partial<RunRecord> = {}): [string, RunRecord] {
  return [
    id,
    {
      id,
      cluster: "web",
      trigger,
      event: {
        type: "active",
        cluster: "web",
        index: 1,
        atMs: NOW_MS,
        activeAddrs: [],
        allAddrs: [],
        node: null,
      },
      eventIndex: 1,
      createdAtMs: NOW_MS,
      outcome: "pending",
      notBeforeMs: NOW_MS,
      startedAtMs: null,
      finishedAtMs: null,
      attempts: 0,
      exitCode: null,
      signal: null,
      outputTail: "",
      error: "",
      ...more,
    },
  ];
}

function next(
  runs: ReadonlyMap<string, RunRecord>,
  mine: ReadonlySet<string>,
  { isLeader = true, place = "here" }: { isLeader?: boolean; place?: RunPlace } = {},
): NextRuns {
  return nextRuns({ runs, mine, nowMs: NOW_MS, isLeader, placeOf: () => place });
}

const ids = (runs: readonly RunRecord[]): readonly string[] => runs.map((each) => each.id);

test("nextRuns() gives one run per trigger, oldest first", () => {
  const runs = new Map([run("1.0", "a"), run("2.0", "a"), run("2.1", "b")]);

  const found = next(runs, new Set());

  assert.deepEqual(ids(found.ready), ["1.0", "2.1"]);
});

test("nextRuns() keeps a trigger's later runs back while an earlier one is under way", () => {
  const runs = new Map([run("1.0", "a", { outcome: "started" }), run("2.0", "a")]);

  const found = next(runs, new Set(["1.0"]));

  assert.deepEqual(ids(found.ready), []);
  assert.deepEqual(ids(found.inherited), []);
});

test("nextRuns() finds the runs whose coordinator died under them", () => {
  const runs = new Map([run("1.0", "a", { outcome: "started" }), run("2.0", "a")]);

  const found = next(runs, new Set());

  assert.deepEqual(ids(found.inherited), ["1.0"]);
  assert.deepEqual(ids(found.ready), []);
});

test("nextRuns() waits for throttled runs and says until when", () => {
  const runs = new Map([
    run("1.0", "a", { notBeforeMs: NOW_MS + 500 }),
    run("1.1", "b", { notBeforeMs: NOW_MS + 200 }),
  ]);

  const found = next(runs, new Set());

  assert.deepEqual(ids(found.ready), []);
  assert.equal(found.nextAtMs, NOW_MS + 200);
});

test("nextRuns() passes over what has ended", () => {
  const runs = new Map([
    run("1.0", "a", { outcome: "succeeded" }),
    run("2.0", "a", { outcome: "failed" }),
    run("3.0", "a"),
  ]);

  assert.deepEqual(ids(next(runs, new Set()).ready), ["3.0"]);
});

test("nextRuns() leaves a run to the coordinator that began it, and looks again", () => {
  const runs = new Map([run("1.0", "a", { outcome: "started" }), run("2.0", "a")]);

  const found = next(runs, new Set(), { place: "elsewhere" });

  assert.deepEqual([found.ready, found.inherited, found.lost], [[], [], []]);
  assert.ok((found.nextAtMs ?? 0) > NOW_MS);
});

test("nextRuns() gives up a run whose coordinator is gone for too long", () => {
  const runs = new Map([run("1.0", "a", { outcome: "started" })]);

  assert.deepEqual(ids(next(runs, new Set(), { place: "lost" }).lost), ["1.0"]);
});

test("nextRuns() lets a follower settle what it began, and nothing else", () => {
  const runs = new Map([run("1.0", "a", { outcome: "started" }), run("2.0", "b")]);

  assert.deepEqual(ids(next(runs, new Set(), { isLeader: false }).inherited), ["1.0"]);
  for (const place of ["here", "elsewhere", "lost"] as const) {
    const { ready, lost, nextAtMs } = next(runs, new Set(), { isLeader: false, place });

    assert.deepEqual([ready, lost, nextAtMs], [[], [], null]);
  }
});
