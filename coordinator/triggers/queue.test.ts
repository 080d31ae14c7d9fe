import assert from "node:assert/strict";
import { test } from "node:test";

import type { RunRecord } from "../state/model.js";
import { nextRuns } from "./queue.js";

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

const ids = (runs: readonly RunRecord[]): readonly string[] => runs.map((each) => each.id);

test("nextRuns() gives one run per trigger, oldest first", () => {
  const runs = new Map([run("1.0", "a"), run("2.0", "a"), run("2.1", "b")]);

  const next = nextRuns(runs, new Set(), NOW_MS);

  assert.deepEqual(ids(next.ready), ["1.0", "2.1"]);
});

test("nextRuns() keeps a trigger's later runs back while an earlier one is under way", () => {
  const runs = new Map([run("1.0", "a", { outcome: "started" }), run("2.0", "a")]);

  const next = nextRuns(runs, new Set(["1.0"]), NOW_MS);

  assert.deepEqual(ids(next.ready), []);
  assert.deepEqual(ids(next.interrupted), []);
});

test("nextRuns() finds the runs whose coordinator died under them", () => {
  const runs = new Map([run("1.0", "a", { outcome: "started" }), run("2.0", "a")]);

  const next = nextRuns(runs, new Set(), NOW_MS);

  assert.deepEqual(ids(next.interrupted), ["1.0"]);
  assert.deepEqual(ids(next.ready), []);
});

test("nextRuns() waits for throttled runs and says until when", () => {
  const runs = new Map([
    run("1.0", "a", { notBeforeMs: NOW_MS + 500 }),
    run("1.1", "b", { notBeforeMs: NOW_MS + 200 }),
  ]);

  const next = nextRuns(runs, new Set(), NOW_MS);

  assert.deepEqual(ids(next.ready), []);
  assert.equal(next.nextAtMs, NOW_MS + 200);
});

test("nextRuns() passes over what has ended", () => {
  const runs = new Map([
    run("1.0", "a", { outcome: "succeeded" }),
    run("2.0", "a", { outcome: "failed" }),
    run("3.0", "a"),
  ]);

  assert.deepEqual(ids(nextRuns(runs, new Set(), NOW_MS).ready), ["3.0"]);
});
