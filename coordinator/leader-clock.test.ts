import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../common/virtual-clock.js";
import { leaderClock } from "./leader-clock.js";

test("setting the host's clock back changes nothing: the time goes on from the newest stamp", async () => {
  const host = new VirtualClock();
  const stampMs = host.wallMs() + 500;
  const clock = leaderClock(host, () => stampMs);
  const beforeMs = clock.wallMs();

  host.stepWall(-3_600_000);
  await host.advance(1_000);

  assert.equal(beforeMs, stampMs);
  assert.equal(clock.wallMs(), stampMs + 1_000);
});

test("setting the host's clock forward moves the time as it moves the stamps", () => {
  const host = new VirtualClock();
  const clock = leaderClock(host, () => 0);

  host.stepWall(60_000);

  assert.equal(clock.wallMs(), host.wallMs());
});
