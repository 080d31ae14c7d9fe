import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterduckError } from "../../common/errors.js";
import { VirtualClock } from "../../common/virtual-clock.js";
import { DiskWatch } from "./disk-watch.js";
import type { MemberTrouble } from "./replicated-log.js";

const full = (free: number): ClusterduckError =>
  new ClusterduckError("DISK_FULL", `Cannot extend the log in "/data": ${free} bytes are free`, {
    hint: "Free space",
  });

/** Told anew each time. */
function seen(disk: DiskWatch): MemberTrouble | null {
  return disk.trouble;
}

test("a full disk is one trouble from its first refusal to the first write that ends", async () => {
  const clock = new VirtualClock();
  const disk = new DiskWatch({ directory: "/data", slowAfterMs: 2_000, clock });

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

test("a write that hangs is one trouble from its begin to its end, whatever the host's clock does", async () => {
  const clock = new VirtualClock();
  let setMs = 0;
  const host = {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs() + setMs,
    after: clock.after.bind(clock),
    sleep: clock.sleep.bind(clock),
  };
  const disk = new DiskWatch({ directory: "/data", slowAfterMs: 2_000, clock: host });

  disk.begun();
  await clock.advance(1_900);
  assert.equal(seen(disk), null);
  await clock.advance(1_100);
  const hanging = seen(disk);
  setMs = 3_600_000;
  const later = seen(disk);

  assert.equal(hanging?.kind, "disk-slow");
  assert.match(hanging.message, /a write to the log in "\/data" has not ended for 3 s$/);
  assert.equal(later?.sinceMs, hanging.sinceMs);
  disk.ended();
  assert.equal(seen(disk), null);
});
