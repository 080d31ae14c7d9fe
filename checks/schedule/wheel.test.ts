import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../common/virtual-clock.js";
import { TimingWheel, wheelEntry } from "./wheel.js";
import { fc, runs } from "../../test/support/properties.js";

const SLOT_MS = 8;

test("every entry runs once, never early and at most one slot late, also beyond one turn of the wheel", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.double({ min: 0, max: 50_000, noNaN: true }), { maxLength: 60 }),
      async (delays) => {
        const clock = new VirtualClock({ startMs: 12.3, turns: 1 });
        const wheel = new TimingWheel(clock);
        const startMs = clock.monotonicMs();
        const ranMs: number[][] = delays.map(() => []);
        for (const [index, delay] of delays.entries()) {
          wheel.set(
            wheelEntry(() => ranMs[index]?.push(clock.monotonicMs() - startMs)),
            startMs + delay,
          );
        }

        await clock.advance(50_020);

        for (const [index, delay] of delays.entries()) {
          const [ran = NaN, ...more] = ranMs[index] ?? [];
          assert.deepEqual(more, []);
          assert.ok(ran >= delay - 1e-6 && ran <= delay + SLOT_MS + 1 + 1e-6, `due ${delay}, ran ${ran}`);
        }
        assert.equal(wheel.size, 0);
        assert.equal(clock.pendingTimers, 0);
      },
    ),
    runs(40),
  );
});

test("an entry may move, cancel its neighbours and set itself again while it runs", async () => {
  const clock = new VirtualClock({ startMs: 0 });
  const wheel = new TimingWheel(clock);
  const ran: string[] = [];
  const second = wheelEntry(() => ran.push("second"));
  const third = wheelEntry(() => ran.push("third"));
  const first = wheelEntry(() => {
    ran.push("first");
    wheel.cancel(second);
    wheel.set(third, clock.monotonicMs() + 50);
    if (ran.length < 3) wheel.set(first, clock.monotonicMs());
  });
  wheel.set(first, 10);
  wheel.set(second, 10);
  wheel.set(third, 10);

  await clock.advance(200);

  assert.equal(ran.filter((name) => name === "second").length, 0);
  assert.equal(ran.filter((name) => name === "first").length >= 2, true);
  assert.equal(ran.at(-1), "third");
  assert.equal(ran.filter((name) => name === "third").length, 1);
});

test("it sleeps while nothing is due, and tells how late it was woken", async () => {
  const clock = new VirtualClock({ startMs: 0 });
  const late: number[] = [];
  const wheel = new TimingWheel(clock, (lateMs) => late.push(lateMs));
  let runs = 0;
  wheel.set(
    wheelEntry(() => (runs += 1)),
    1_000,
  );

  await clock.advance(999);
  assert.deepEqual(late, []);
  clock.stall(301);
  await clock.advance(0);

  assert.deepEqual(late, [300]);
  assert.equal(runs, 1);
});

test("after a stall of more than a turn everything that was due runs, and the rest does not", async () => {
  const clock = new VirtualClock({ startMs: 0 });
  const wheel = new TimingWheel(clock);
  const ran: number[] = [];
  for (const due of [100, 9_000, 15_000, 29_000, 31_000])
    wheel.set(
      wheelEntry(() => ran.push(due)),
      due,
    );

  clock.stall(30_000);
  await clock.advance(0);
  assert.deepEqual(
    ran.toSorted((one, other) => one - other),
    [100, 9_000, 15_000, 29_000],
  );

  await clock.advance(1_000);
  assert.equal(ran.at(-1), 31_000);
});
