/** The log on the real file system: what the simulated disk cannot show. */
import assert from "node:assert/strict";
import { open, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/logger.js";
import type { ReplicatedLog } from "../../coordinator/log/replicated-log.js";
import { openSingleMemberLog } from "../../coordinator/log/single-member-log.js";
import { encodeSnapshot } from "../../coordinator/log/storage/snapshot-file.js";
import { inspectSnapshot, restoreSnapshot } from "../../coordinator/log/storage/snapshots.js";
import { verifyLog } from "../../coordinator/log/storage/verify.js";
import { temporaryFolder } from "../support/at-end.js";

test("entries, snapshots and rolled segments survive a restart on the real disk", async (context) => {
  const dir = join(await temporaryFolder(context), "deeper", "data");
  const log = await openIn(dir);
  for (let at = 0; at < 40; at++) await log.propose(new Uint8Array(4096).fill(65 + (at % 26)));
  await log.saveSnapshot({ last: { index: 30, term: 2 }, data: new Uint8Array(3_000_000).fill(7) });
  await log.close();

  const again = await openIn(dir);
  const report = await verifyLog(dir);

  assert.equal(again.status().commitIndex, 43);
  assert.equal((await again.loadSnapshot())?.data.length, 3_000_000);
  assert.ok(report.segments.length > 1);
  assert.deepEqual(report.damages, []);
  assert.deepEqual(report.last, { index: 43, term: 3 });
  await again.close();
});

test("a second log on the same directory is refused", async (context) => {
  const dir = await temporaryFolder(context);
  const log = await openIn(dir);

  await assert.rejects(openIn(dir), { code: "LOG_LOCKED", message: /is using it/ });
  await log.close();
});

test("a damaged file is refused with its offset, which verify finds too", async (context) => {
  const dir = await temporaryFolder(context);
  const log = await openIn(dir);
  for (let at = 0; at < 5; at++) await log.propose(new Uint8Array(600).fill(65 + at));
  await log.close();
  const [file = ""] = (await readdir(dir)).filter((name) => name.endsWith(".wal"));
  const handle = await open(join(dir, file), "r+");
  await handle.write(new Uint8Array([255]), 0, 1, 1500);
  await handle.close();

  const report = await verifyLog(dir);

  assert.equal(report.damages.length, 1);
  await assert.rejects(openIn(dir), {
    code: "LOG_CORRUPT",
    message: new RegExp(`at offset ${report.damages[0]?.offset}`),
  });
});

test("a snapshot saved to a file starts another data directory", async (context) => {
  const parent = await temporaryFolder(context);
  const path = join(parent, "backup.snap");
  const snapshot = { last: { index: 12, term: 3 }, data: new TextEncoder().encode("the state") };
  const origin = { memberId: "c1", clusterId: "01A", members: ["c1"], createdAtMs: 1 };
  await writeFile(path, encodeSnapshot({ ...origin, last: snapshot.last }, snapshot.data));

  const header = await inspectSnapshot(path);
  const dir = join(parent, "restored");
  await restoreSnapshot({ directory: dir, snapshotPath: path, memberId: "c1", clock: systemClock });
  const log = await openIn(dir);

  assert.deepEqual(header.last, snapshot.last);
  assert.deepEqual((await log.loadSnapshot())?.data, snapshot.data);
  assert.deepEqual([log.status().commitIndex, log.leadership().term], [13, 3 + 2 ** 20 + 1]);
  await log.close();
});

function openIn(dir: string): Promise<ReplicatedLog> {
  const options = { memberId: "c1", clock: systemClock, logger: silentLogger, segmentBytes: 64 * 1024 };
  return openSingleMemberLog({ dir, ...options });
}
