import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import { silentLogger } from "../../common/logger.js";
import { seededRandom } from "../../common/random.js";
import { SimulatedDisk } from "../../test/support/simulated-disk.js";
import type { LogEntry, ReplicatedLog } from "./replicated-log.js";
import { openSingleMemberLog } from "./single-member-log.js";

test("a single member leads at once, in a new term at every start, with an empty entry of that term", async () => {
  const disk = newDisk();
  const first = await openOn(disk);
  const leadership = first.leadership();
  await first.close();

  const second = await openOn(disk);

  assert.deepEqual(leadership, { leaderId: "c1", term: 1, isLeader: true });
  assert.equal(second.leadership().term, 2);
  assert.deepEqual(
    (await read(second, 0, 2)).map(({ index, term, payload }) => [index, term, payload.length]),
    [
      [1, 1, 0],
      [2, 2, 0],
    ],
  );
});

test("a proposal is acknowledged only after its sync", async () => {
  const disk = newDisk();
  const log = await openOn(disk);
  disk.holdSyncs();
  let isAcknowledged = false;

  const proposal = log.propose(bytes("a")).then((position) => {
    isAcknowledged = true;
    return position;
  });
  await until(() => disk.heldSyncCount() === 1);
  const wasAcknowledgedEarly = isAcknowledged;
  const commitIndex = log.status().commitIndex;
  disk.releaseSyncs();

  assert.deepEqual(await proposal, { index: 2, term: 1 });
  assert.equal(wasAcknowledgedEarly, false);
  assert.equal(commitIndex, 1);
});

test("proposals that arrive together share one sync, in their order", async () => {
  const disk = newDisk();
  const log = await openOn(disk);
  const syncsBefore = disk.syncCount;

  const positions = await Promise.all(Array.from({ length: 50 }, (_, at) => log.propose(bytes(`p${at}`))));

  assert.deepEqual(
    positions.map(({ index }) => index),
    Array.from({ length: 50 }, (_, at) => at + 2),
  );
  assert.equal(disk.syncCount - syncsBefore, 1);
  const texts = (await read(log, 1, 51)).map(({ payload }) => new TextDecoder().decode(payload));
  assert.deepEqual(
    texts,
    Array.from({ length: 50 }, (_, at) => `p${at}`),
  );
});

test("readers get committed entries, then new ones, and end when the log closes", async () => {
  const log = await openOn(newDisk());
  const seen: number[] = [];
  const reading = (async () => {
    for await (const { index } of log.entries(0, new AbortController().signal)) seen.push(index);
  })();

  await log.propose(bytes("a"));
  await log.propose(bytes("b"));
  await log.close();
  await reading;

  assert.deepEqual(seen, [1, 2, 3]);
});

test("entries that a snapshot has replaced are refused to readers", async () => {
  const log = await openOn(newDisk());
  await log.propose(bytes("a"));
  await log.saveSnapshot({ last: { index: 2, term: 1 }, data: bytes("s") });

  await assert.rejects(read(log, 0, 1), { code: "CONFLICT", message: /a snapshot has replaced/ });
  assert.deepEqual(log.status().firstIndex, 3);
});

test("a failed sync ends it: proposals fail, leadership goes, readers get the error", async () => {
  const disk = newDisk();
  const log = await openOn(disk);
  const leaderships: boolean[] = [];
  log.onLeadership(({ isLeader }) => leaderships.push(isLeader));
  const reading = read(log, 0, 99);
  disk.failNext("sync", "DISK_FAILED");

  const outcomes = await Promise.allSettled([log.propose(bytes("a")), log.propose(bytes("b"))]);
  const later = await Promise.allSettled([log.propose(bytes("c")), reading]);

  for (const outcome of [...outcomes, ...later]) {
    assert.equal(outcome.status, "rejected");
    assert.ok(outcome.reason instanceof ClusterduckError);
    assert.equal(outcome.reason.code, "DISK_FAILED");
  }
  assert.deepEqual(leaderships, [false]);
});

test("a full disk fails proposals clearly, and they work again once there is space", async () => {
  const disk = newDisk();
  const log = await openOn(disk);
  disk.capacityBytes = disk.usedBytes();
  let accepted = 0;
  let error: unknown = null;
  while (error === null) {
    await log.propose(bytes("x".repeat(1000))).then(
      () => accepted++,
      (thrown: unknown) => (error = thrown),
    );
  }

  assert.ok(error instanceof ClusterduckError && error.code === "DISK_FULL");
  disk.capacityBytes *= 4;
  const { index } = await log.propose(bytes("y"));
  assert.equal(index, accepted + 2);
  assert.equal(log.leadership().isLeader, true);
});

test("a closed log refuses proposals, and what was in flight is durable or refused", async () => {
  const disk = newDisk();
  const log = await openOn(disk);
  const inFlight = Promise.allSettled([log.propose(bytes("a")), log.propose(bytes("b"))]);

  await log.close();

  await assert.rejects(log.propose(bytes("c")), { code: "STOPPING" });
  await assert.rejects(log.readBarrier(), { code: "STOPPING" });
  const acknowledged = (await inFlight).filter(({ status }) => status === "fulfilled").length;
  const again = await openOn(disk);
  assert.equal(again.status().commitIndex, acknowledged + 2);
});

test("an entry that is too large is refused before anything happens", async () => {
  const log = await openOn(newDisk());

  await assert.rejects(log.propose(new Uint8Array(17 * 1024 * 1024)), { code: "INVALID_ARGUMENT" });
  assert.equal(log.status().commitIndex, 1);
});

function newDisk(): SimulatedDisk {
  return new SimulatedDisk({ random: seededRandom(1) });
}

function openOn(disk: SimulatedDisk): Promise<ReplicatedLog> {
  return openSingleMemberLog({
    dir: "/log",
    memberId: "c1",
    clock: systemClock,
    logger: silentLogger,
    disk: disk.attach(),
    segmentBytes: 16 * 1024,
    reserveBytes: 0,
  });
}

async function read(log: ReplicatedLog, afterIndex: number, toIndex: number): Promise<readonly LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of log.entries(afterIndex, new AbortController().signal)) {
    entries.push(entry);
    if (entry.index === toIndex) break;
  }
  return entries;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (isTrue()) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  throw new Error("It did not come about");
}
