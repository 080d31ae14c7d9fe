import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../common/clock.js";
import { ClusterduckError } from "../../../common/errors.js";
import { silentLogger } from "../../../common/logger.js";
import { seededRandom } from "../../../common/random.js";
import type { Entry } from "../../raft/entry.js";
import type { HardState } from "../../raft/hard-state.js";
import { SimulatedDisk } from "../../../test/support/simulated-disk.js";
import { LogStorage } from "./log-storage.js";
import type { LogStorageOptions } from "./log-storage.js";
import { writeSnapshotFile } from "./snapshot-file.js";
import { restoreSnapshot } from "./snapshots.js";
import { verifyLog } from "./verify.js";

const MEMBERS = [{ id: "c1", role: "voter", address: "" }] as const;

test("what was appended is there after opening again", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);

  await storage.append({ entries: [entry(1), entry(2)], hardState: { term: 1, vote: "c1", commit: 0 } });
  await storage.append({ truncateAfter: 1, entries: [entry(2, 2), entry(3, 2)] });
  await storage.close();
  const again = await openOn(disk);

  assert.deepEqual(indexesAndTerms(again), ["1/1", "2/2", "3/2"]);
  assert.deepEqual(again.hardState, { term: 1, vote: "c1", commit: 0 });
  assert.deepEqual(again.entry(3)?.payload, entry(3, 2).payload);
  assert.equal(again.termAt(0), 0);
  assert.equal(again.termAt(4), null);
});

test("the hard state outlives the segments it was written to", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  await storage.append({ entries: [], hardState: { term: 7, vote: "c2", commit: 3 } });
  for (let index = 1; index <= 60; index++) await storage.append({ entries: [entry(index)] });
  await storage.saveSnapshot(snapshot(40), MEMBERS);
  await storage.saveSnapshot(snapshot(55), MEMBERS);
  await storage.close();

  const again = await openOn(disk);

  assert.ok(!segments(disk).includes("0000000001-0000000000000001.wal"), "the first segment is gone");
  assert.deepEqual(again.hardState, { term: 7, vote: "c2", commit: 3 });
  assert.deepEqual(again.base, { index: 55, term: 1 });
  assert.equal(again.last.index, 60);
});

test("a write that a crash cut short is cut off, and the log goes on behind the last whole one", async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const disk = newDisk(seed);
    const storage = await openOn(disk);
    await storage.append({ entries: [entry(1)] });
    disk.holdSyncs();
    void storage.append({ entries: [entry(2, 1, 3000)] });
    await until(() => disk.heldSyncCount() === 1);

    disk.crash();
    disk.releaseSyncs();
    const again = await openOn(disk);

    assert.ok([1, 2].includes(again.last.index), `seed ${seed}: ends with ${again.last.index}`);
    await again.append({ entries: [entry(again.last.index + 1)] });
    const lastIndex = again.last.index;
    await again.close();
    assert.equal((await openOn(disk)).last.index, lastIndex, `seed ${seed}`);
  }
});

test("a changed bit anywhere in what was synced is refused, with file and offset", async () => {
  const reference = newDisk();
  const storage = await openOn(reference);
  for (let index = 1; index <= 3; index++) await storage.append({ entries: [entry(index, 1, 600)] });
  await storage.close();
  const used = (await verifyLog("/log", reference.attach())).segments[0]?.usedBytes ?? 0;
  assert.ok(used > 1800);

  for (let offset = 0; offset < used; offset += 3) {
    const disk = newDisk();
    const copy = await openOn(disk);
    for (let index = 1; index <= 3; index++) await copy.append({ entries: [entry(index, 1, 600)] });
    await copy.close();
    disk.flipBit(firstSegment(disk), offset, 1 << (offset % 8));

    const error = await failureOf(openOn(disk));

    assert.equal(error.code, "LOG_CORRUPT", `offset ${offset}: ${error.message}`);
    assert.match(error.message, /0000000001-.*\.wal" holds .* at offset \d+/);
    assert.match(error.hint ?? "", /snapshot restore/);
  }
});

test("a sector of zeros inside what was synced is corruption, not a torn write", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  for (let index = 1; index <= 5; index++) await storage.append({ entries: [entry(index, 1, 1200)] });
  await storage.close();
  disk.overwrite(firstSegment(disk), 1536, new Uint8Array(512));

  const error = await failureOf(openOn(disk));
  const report = await verifyLog("/log", disk.attach());

  assert.equal(error.code, "LOG_CORRUPT");
  assert.match(error.message, /though another record follows/);
  assert.equal(report.damages.length, 1);
});

test("a shortened or missing segment is refused", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  for (let index = 1; index <= 60; index++) await storage.append({ entries: [entry(index)] });
  await storage.close();
  const all = segments(disk);
  assert.ok(all.length >= 3);

  disk.removeFile(`/log/${all[1] ?? ""}`);
  const error = await failureOf(openOn(disk));

  assert.equal(error.code, "LOG_CORRUPT");
  assert.match(error.message, /missing/);
});

test("after a failed sync nothing is accepted, and a restart finds what was acknowledged", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  await storage.append({ entries: [entry(1)] });
  disk.failNext("sync", "DISK_FAILED");

  const first = await failureOf(storage.append({ entries: [entry(2)] }));
  const second = await failureOf(storage.append({ entries: [entry(2)] }));

  assert.equal(first.code, "DISK_FAILED");
  assert.equal(second.code, "DISK_FAILED");
  assert.match(second.message, /after an earlier failure/);
  disk.crash();
  const again = await openOn(disk);
  assert.ok(again.last.index >= 1);
});

test("a full disk refuses what needs a new segment, and goes on once there is space", async () => {
  const disk = newDisk();
  const storage = await openOn(disk, { reserveBytes: 10_000 });
  disk.capacityBytes = disk.usedBytes() + SEGMENT_BYTES;
  let index = 0;
  let error: ClusterduckError | null = null;
  while (error === null) {
    error = await storage.append({ entries: [entry(index + 1)] }).then(
      () => {
        index++;
        return null;
      },
      (thrown: unknown) => thrown as ClusterduckError,
    );
  }

  assert.equal(error.code, "DISK_FULL");
  assert.match(error.message, /are free, .* are needed/);
  assert.equal((await failureOf(storage.append({ entries: [entry(index + 1)] }))).code, "DISK_FULL");
  disk.capacityBytes += 20_000;
  await storage.append({ entries: [entry(index + 1)] });
  await storage.close();
  assert.equal((await openOn(disk)).last.index, index + 1);
});

test("a disk that is full in the middle of a write leaves nothing behind that a restart would refuse", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  await storage.append({ entries: [entry(1)] });
  disk.failNext("write", "DISK_FULL");

  assert.equal((await failureOf(storage.append({ entries: [entry(2)] }))).code, "DISK_FULL");
  await storage.append({ entries: [entry(2, 1, 10)] });
  await storage.close();

  assert.equal((await openOn(disk)).last.index, 2);
});

test("a snapshot that a full disk refuses leaves the log as it was", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  await storage.append({ entries: [entry(1), entry(2)] });
  disk.capacityBytes = disk.usedBytes() + 100;

  const error = await failureOf(storage.saveSnapshot(snapshot(2, 5000), MEMBERS));
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await storage.append({ entries: [entry(3)] });

  assert.equal(error.code, "DISK_FULL");
  assert.deepEqual(
    disk.paths().filter((path) => path.endsWith(".tmp")),
    [],
  );
  assert.equal(storage.base.index, 0);
});

test("two snapshots are kept, with the log after the older one", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  for (let index = 1; index <= 90; index++) {
    await storage.append({ entries: [entry(index)] });
    if (index % 30 === 0) await storage.saveSnapshot(snapshot(index), MEMBERS);
  }
  await storage.close();

  const report = await verifyLog("/log", disk.attach());

  assert.deepEqual(
    report.snapshots.map((each) => each.last.index),
    [60, 90],
  );
  assert.ok((report.segments[0]?.firstIndex ?? 0) <= 61);
  assert.deepEqual(report.damages, []);
});

test("a damaged newest snapshot is refused, and moving it away loses nothing", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  for (let index = 1; index <= 110; index++) {
    await storage.append({ entries: [entry(index)] });
    if (index % 50 === 0) await storage.saveSnapshot(snapshot(index), MEMBERS);
  }
  await storage.close();
  const newest = "/log/snapshot-0000000000000100-1.snap";
  disk.flipBit(newest, disk.bytesOf(newest).length - 30);

  const error = await failureOf(openOn(disk));
  disk.removeFile(newest);
  const again = await openOn(disk);

  assert.equal(error.code, "LOG_CORRUPT");
  assert.match(error.message, /snapshot-0000000000000100-1\.snap" is damaged at offset \d+/);
  assert.match(error.hint ?? "", /snapshot of entry 50 .* nothing is lost/);
  assert.equal(again.base.index, 50);
  assert.equal(again.last.index, 110);
});

test("a snapshot from elsewhere, beyond the log, replaces it", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  await storage.append({ entries: [entry(1), entry(2)] });

  await storage.saveSnapshot({ last: { index: 100, term: 4 }, data: new Uint8Array([1, 2, 3]) }, MEMBERS);
  await storage.append({ entries: [entry(101, 4)] });
  await storage.close();
  const again = await openOn(disk);

  assert.deepEqual(again.base, { index: 100, term: 4 });
  assert.equal(again.last.index, 101);
  assert.deepEqual((await again.loadSnapshot())?.data, new Uint8Array([1, 2, 3]));
});

test("a directory serves one process and one member", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);

  const second = await failureOf(openOn(disk));
  await storage.close();
  const stranger = await failureOf(openOn(disk, { memberId: "c9" }));
  const again = await openOn(disk);

  assert.equal(second.code, "LOG_LOCKED");
  assert.equal(stranger.code, "CONFIG_INVALID");
  assert.match(stranger.hint ?? "", /coordinator\.id to "c1"/);
  assert.equal(again.last.index, 0);
});

test("a restored snapshot begins a log, and what was there is kept aside", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  for (let index = 1; index <= 9; index++) await storage.append({ entries: [entry(index, 2)] });
  await storage.saveSnapshot({ last: { index: 8, term: 2 }, data: new Uint8Array([8]) }, MEMBERS);
  await storage.close();

  const restored = await restoreSnapshot({
    directory: "/log",
    snapshotPath: "/log/snapshot-0000000000000008-2.snap",
    memberId: "c1",
    clock: systemClock,
    disk: disk.attach(),
  });
  const again = await openOn(disk);

  assert.deepEqual(restored.last, { index: 8, term: 2 });
  assert.deepEqual(again.last, { index: 8, term: 2 });
  assert.ok(again.hardState.term >= 2);
  assert.deepEqual((await again.loadSnapshot())?.data, new Uint8Array([8]));
  assert.ok(disk.paths().some((path) => path.startsWith(restored.movedTo ?? "?") && path.endsWith(".wal")));
});

test("a restored log begins with a term far beyond all that the snapshot and the replaced log have seen, again and again", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  await storage.append({ entries: [entry(1, 2)], hardState: { term: 7, vote: "c1", commit: 1 } });
  await storage.saveSnapshot({ last: { index: 1, term: 2 }, data: new Uint8Array([1]) }, MEMBERS);
  await storage.close();
  const path = "/log/snapshot-0000000000000001-2.snap";

  const first = await restoreOn(disk, path);
  const terms = [(await hardStateOn(disk)).term];
  await restoreOn(disk, `${first.movedTo ?? ""}/snapshot-0000000000000001-2.snap`);
  terms.push((await hardStateOn(disk)).term);

  assert.deepEqual(terms, [7 + 2 ** 20, 7 + 2 ** 21]);
});

test("whoever restores a snapshot is the only member, also of one that a tier's member took", async () => {
  const disk = newDisk();
  const storage = await openOn(disk);
  const members = ["c1", "c2", "c3"].map((id) => ({ id, role: "voter" as const, address: `${id}:9910` }));
  await storage.append({ entries: [entry(1)], hardState: { term: 1, vote: "c1", commit: 1 } });
  await storage.saveSnapshot(snapshot(1), members);
  await storage.close();

  await restoreOn(disk, "/log/snapshot-0000000000000001-1.snap");

  const again = await openOn(disk);
  assert.deepEqual(again.membership, [{ id: "c1", role: "voter", address: "c1:9910" }]);
});

test("a restore that a crash interrupts, at any step, leaves the old log or the new one or one that is refused until it is repeated", async () => {
  const outcomes = new Set<string>();
  for (let operations = 0; operations < 60; operations++) {
    const disk = newDisk(operations + 1);
    const storage = await openOn(disk);
    await storage.append({ entries: [], hardState: { term: 9, vote: "c1", commit: 0 } });
    // More than one segment, and no snapshot: without its end the log would look whole.
    for (const first of [1, 11, 21, 31]) {
      await storage.append({ entries: Array.from({ length: 10 }, (_, at) => entry(first + at)) });
    }
    await storage.close();
    await writeSnapshotFile(disk.attach(), "/backup.snap", BACKUP, new Uint8Array([30]));
    const crashed = new Promise<string>((resolve) => disk.crashAfter(operations, () => resolve("crashed")));

    const first = await Promise.race([crashed, restoreOn(disk, "/backup.snap").then(() => "done")]);
    disk.crash();
    const found = await openOn(disk).catch((thrown: unknown) => thrown as ClusterduckError);

    const about = `after ${operations} operations`;
    if (found instanceof LogStorage) {
      const { last } = found;
      outcomes.add(last.index === 40 ? "old" : "new");
      assert.ok(
        last.index === 40 || (last.index === 30 && found.base.index === 30),
        `${last.index} ${about}`,
      );
      assert.ok(first !== "done" || last.index === 30, about);
      await found.close();
    } else {
      outcomes.add("refused");
      assert.equal(found.code, "LOG_CORRUPT", about);
      assert.match(found.message, /a restore of a snapshot was interrupted there/, about);
      assert.match(found.hint ?? "", /Repeat it: .*snapshot restore FILE.*replaced-/, about);
      const { damages } = await verifyLog("/log", disk.attach());
      assert.ok(
        damages.some((damage) => damage.found.includes("restore that was interrupted")),
        about,
      );
    }
    await restoreOn(disk, "/backup.snap");
    const again = await openOn(disk);
    assert.equal(again.last.index, 30, about);
    assert.ok(again.hardState.term >= 9 + 2 ** 20, `term ${again.hardState.term} ${about}`);
  }
  assert.deepEqual([...outcomes].sort(), ["new", "old", "refused"]);
});

let wallMs = 0;

const BACKUP = {
  memberId: "c1",
  clusterId: "",
  last: { index: 30, term: 1 },
  members: ["c1"],
  createdAtMs: 1,
};

function restoreOn(disk: SimulatedDisk, path: string): ReturnType<typeof restoreSnapshot> {
  const where = { directory: "/log", snapshotPath: path, memberId: "c1" };
  // Two in one millisecond would want the same folder for what they replace.
  const clock = { ...systemClock, wallMs: () => ++wallMs };
  return restoreSnapshot({ ...where, clock, disk: disk.attach(), segmentBytes: SEGMENT_BYTES });
}

async function hardStateOn(disk: SimulatedDisk): Promise<HardState> {
  const storage = await openOn(disk);
  await storage.close();
  return storage.hardState;
}

const SEGMENT_BYTES = 8192;

function newDisk(seed = 1): SimulatedDisk {
  return new SimulatedDisk({ random: seededRandom(seed) });
}

function openOn(disk: SimulatedDisk, changes: Partial<LogStorageOptions> = {}): Promise<LogStorage> {
  return LogStorage.open({
    directory: "/log",
    memberId: "c1",
    clusterId: "",
    disk: disk.attach(),
    clock: systemClock,
    logger: silentLogger,
    segmentBytes: SEGMENT_BYTES,
    reserveBytes: 0,
    ...changes,
  });
}

function entry(index: number, term = 1, bytes = 300): Entry {
  return { index, term, kind: "command", payload: new Uint8Array(bytes).fill(65 + (index % 26)) };
}

function snapshot(index: number, bytes = 100): { last: { index: number; term: number }; data: Uint8Array } {
  return { last: { index, term: 1 }, data: new Uint8Array(bytes).fill(index) };
}

function segments(disk: SimulatedDisk): readonly string[] {
  return disk
    .paths()
    .filter((path) => path.endsWith(".wal"))
    .map((path) => path.slice("/log/".length));
}

function firstSegment(disk: SimulatedDisk): string {
  return `/log/${segments(disk)[0] ?? ""}`;
}

function indexesAndTerms(storage: LogStorage): readonly string[] {
  const seen: string[] = [];
  for (let index = storage.base.index + 1; index <= storage.last.index; index++) {
    seen.push(`${index}/${storage.termAt(index)}`);
  }
  return seen;
}

async function failureOf(work: Promise<unknown>): Promise<ClusterduckError> {
  try {
    await work;
  } catch (thrown) {
    assert.ok(thrown instanceof ClusterduckError, String(thrown));
    return thrown;
  }
  throw new Error("It should have failed");
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (isTrue()) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  throw new Error("It did not come about");
}
