import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "./virtual-clock.js";
import { fc, runs } from "../test/support/properties.js";

test("timers run in the order of their due times, equal ones in the order they were set", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 30 }), async (delays) => {
      const clock = new VirtualClock({ turns: 1 });
      const ran: [number, number][] = [];
      for (const [index, delay] of delays.entries()) clock.after(delay, () => ran.push([delay, index]));

      await clock.advance(20);

      assert.deepEqual(
        ran,
        [...ran].sort((one, other) => one[0] - other[0] || one[1] - other[1]),
      );
      assert.equal(ran.length, delays.length);
      assert.equal(clock.pendingTimers, 0);
    }),
    runs(30),
  );
});

test("a timer set by a promise that a timer resolved still runs at its own time", async () => {
  const clock = new VirtualClock({ startMs: 0 });
  const seen: number[] = [];
  void (async () => {
    for (let round = 0; round < 3; round++) {
      await clock.sleep(10);
      seen.push(clock.monotonicMs());
    }
  })();

  await clock.advance(25);
  assert.deepEqual(seen, [10, 20]);
  assert.equal(clock.monotonicMs(), 25);

  await clock.advance(5);
  assert.deepEqual(seen, [10, 20, 30]);
});

test("a cancelled timer never runs, and cancelling one that ran changes nothing", async () => {
  const clock = new VirtualClock();
  let runs = 0;
  const cancelEarly = clock.after(5, () => runs++);
  const cancelLate = clock.after(5, () => runs++);

  cancelEarly();
  cancelEarly();
  await clock.advance(10);
  cancelLate();

  assert.equal(runs, 1);
  assert.equal(clock.pendingTimers, 0);
});

test("an aborted sleep ends at once and leaves no timer behind", async () => {
  const clock = new VirtualClock();
  const abort = new AbortController();
  let isAwake = false;
  void clock.sleep(1_000, abort.signal).then(() => (isAwake = true));

  abort.abort();
  await clock.settle();

  assert.equal(isAwake, true);
  assert.equal(clock.pendingTimers, 0);
});

test("a stall lets timers run late, and a wall clock step leaves monotonic time alone", async () => {
  const clock = new VirtualClock({ startMs: 0 });
  const wallBefore = clock.wallMs();
  let ranAt = -1;
  clock.after(10, () => (ranAt = clock.monotonicMs()));

  clock.stall(300);
  assert.equal(ranAt, -1);
  await clock.advance(0);
  assert.equal(ranAt, 300);

  clock.stepWall(-3_600_000);
  assert.equal(clock.monotonicMs(), 300);
  assert.equal(clock.wallMs(), wallBefore + 300 - 3_600_000);
});

test("advanceUntil() says when nothing happened", async () => {
  const clock = new VirtualClock();

  await assert.rejects(
    clock.advanceUntil(() => false, 20),
    /within 20 virtual ms/,
  );
});
