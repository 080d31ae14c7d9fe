import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../common/virtual-clock.js";
import { steadyClock } from "./steady-clock.js";

const DAY_MS = 86_400_000;

test("setting the host's clock changes nothing, in either direction", async () => {
  const host = new VirtualClock();
  const clock = steadyClock(host, () => host.monotonicMs());
  const startMs = clock.wallMs();

  host.stepWall(DAY_MS);
  await host.advance(5_000);
  const aheadMs = clock.wallMs();
  host.stepWall(-2 * DAY_MS);
  await host.advance(5_000);

  assert.equal(aheadMs - startMs, 5_000);
  assert.equal(clock.wallMs() - startMs, 10_000);
});

test("its time is in whole milliseconds, as stamps are", async () => {
  const host = new VirtualClock();
  const clock = steadyClock(host, () => host.monotonicMs() + 0.3);

  await host.advance(1_500.4);

  assert.ok(Number.isInteger(clock.wallMs()));
});

test("the time that the host slept has passed", async () => {
  const host = new VirtualClock();
  let sleptMs = 0;
  const clock = steadyClock(host, () => host.monotonicMs() + sleptMs);
  const startMs = clock.wallMs();
  await host.advance(2_000);
  clock.wallMs();

  sleptMs = 8 * 3_600_000;
  await host.advance(1_000);

  assert.equal(clock.wallMs() - startMs, 3_000 + sleptMs);
});

test("two clocks that differ a little make no jumps", async () => {
  const host = new VirtualClock();
  const clock = steadyClock(host, () => Math.floor(host.monotonicMs() * 1.0001));
  const startMs = clock.wallMs();

  for (let second = 1; second <= 60; second++) {
    await host.advance(1_000);
    assert.equal(clock.wallMs() - startMs, second * 1_000);
  }
});
