import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterduckError } from "../../common/errors.js";
import { VirtualClock } from "../../common/virtual-clock.js";
import { DiskWatch } from "./disk-trouble.js";
import type { DiskTrouble } from "./disk-trouble.js";

const full = (free: number): ClusterduckError =>
  new ClusterduckError("DISK_FULL", `Cannot extend the log in "/data": ${free} bytes are free`, {
    hint: "Free space",
  });

/** Told anew each time. */
function seen(disk: DiskWatch): DiskTrouble | null {
  return disk.trouble;
}

test("a full disk is one trouble from its first refusal to the first write that ends", async () => {
  const clock = new VirtualClock();
  const disk = new DiskWatch("/data", clock);

  disk.begun();
  disk.refused(full(7));
  const first = seen(disk);
  await clock.advance(60_000);
  disk.begun();
  disk.refused(full(9));
  const later = seen(disk);

  assert.equal(first?.kind, "disk-full");
  assert.equal(later?.sinceMs, first.sinceMs);
  assert.match(later.message, /is full since .* UTC: Cannot extend the log in "\/data": 9 bytes are free$/);
  assert.equal(later.hint, "Free space");
  disk.begun();
  disk.ended();
  assert.equal(seen(disk), null);
});

test("a write that takes seconds is told while it hangs and for a while after, as one trouble if it happens again", async () => {
  const clock = new VirtualClock();
  const disk = new DiskWatch("/data", clock);

  disk.begun();
  await clock.advance(1_900);
  assert.equal(seen(disk), null);
  await clock.advance(1_100);
  const hanging = seen(disk);
  assert.equal(hanging?.kind, "disk-slow");
  assert.match(hanging.message, /a write to the log in "\/data" has not ended for 3\.0 s$/);
  disk.ended();
  await clock.advance(5_000);
  assert.match(seen(disk)?.message ?? "", /took 3\.0 s$/);
  disk.begun();
  await clock.advance(2_500);
  assert.equal(seen(disk)?.sinceMs, hanging.sinceMs);
  disk.ended();
  await clock.advance(10_000);
  assert.equal(seen(disk), null);
});
