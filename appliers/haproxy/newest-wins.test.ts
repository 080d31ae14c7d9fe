import assert from "node:assert/strict";
import { test } from "node:test";

import { systemClock } from "../../common/clock.js";
import { bundleFixture, outcomeOf } from "../../test/support/delivery-fixtures.js";
import type { Bundle } from "../applier.js";
import { newestWins } from "./newest-wins.js";

const signal = new AbortController().signal;

test("changes that can wait are joined, and all who asked get the newest one's outcome", async () => {
  const { queue, executed } = harness({ quietMs: 20, quietMaxMs: 200 });

  const outcomes = await Promise.all([1, 2, 3].map((index) => queue.submit(bundle(index), signal)));

  assert.deepEqual(executed, ["g3"]);
  assert.deepEqual(new Set(outcomes.map((each) => each.wantedGeneration)), new Set(["g3"]));
});

test("a removal ends the wait", async () => {
  const { queue, executed } = harness({ quietMs: 60_000, quietMaxMs: 60_000 });

  void queue.submit(bundle(1), signal);
  await queue.submit(bundle(2, true), signal);

  assert.deepEqual(executed, ["g2"]);
});

test("changes that never end do not wait beyond the maximum", async () => {
  const { queue, executed } = harness({ quietMs: 40, quietMaxMs: 100 });
  let index = 0;
  let isDone = false;

  const first = queue.submit(bundle(++index), signal).then(() => (isDone = true));
  while (!isDone) {
    void queue.submit(bundle(++index), signal);
    await systemClock.sleep(5);
  }
  await first;

  assert.ok(index > 3 && executed.length >= 1, `${index} submitted, ${executed.length} made`);
});

test("an older bundle that arrives late does not replace the newer one", async () => {
  const { queue, executed } = harness({ quietMs: 10, quietMaxMs: 100 });

  await Promise.all([queue.submit(bundle(5), signal), queue.submit(bundle(4), signal)]);

  assert.deepEqual(executed, ["g5"]);
});

test("one change at a time: what comes meanwhile is made after it, and only its newest", async () => {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const { queue, executed } = harness({ quietMs: 0, quietMaxMs: 0, gate });

  const first = queue.submit(bundle(1, true), signal);
  while (executed.length === 0) await systemClock.sleep(1);
  const rest = [2, 3].map((index) => queue.submit(bundle(index, true), signal));
  assert.equal(queue.hasNewer(), true);
  open();
  await Promise.all([first, ...rest]);

  assert.deepEqual(executed, ["g1", "g3"]);
});

function harness(options: {
  readonly quietMs: number;
  readonly quietMaxMs: number;
  readonly gate?: Promise<void>;
}) {
  const executed: string[] = [];
  const queue = newestWins({
    ...options,
    clock: systemClock,
    execute: async (wanted) => {
      executed.push(wanted.generation);
      await options.gate;
      return outcomeOf(wanted);
    },
  });
  return { queue, executed };
}

function bundle(index: number, isUrgent = false): Bundle {
  return bundleFixture(`g${index}`, { fencing: { term: 1, index }, isUrgent });
}
