import assert from "node:assert/strict";
import { after, test } from "node:test";
import { systemClock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import { silentLogger } from "../../common/logger.js";
import { seededRandom } from "../../common/random.js";
import { SimulatedDisk } from "../../test/support/simulated-disk.js";
import type { RaftLog } from "./raft-log.js";
import type { LogEntry, ReplicatedLog } from "./replicated-log.js";
import { openSingleMemberLog } from "./single-member-log.js";
import { encodeFrame } from "./storage/frame.js";
import { encodeRecord } from "./storage/record.js";

test("a single member leads at once, in a new term at every start, after an entry that names the members", async () => {
  const disk = newDisk();
  const first = await openOn(disk);
  const leadership = first.leadership();
  await first.close();

  const second = await openOn(disk);

  assert.deepEqual(leadership, { leaderId: "c1", term: 2, isLeader: true });
  assert.equal(second.leadership().term, 3);
  assert.deepEqual(
    (await read(second, 0, 3)).map(({ index, term, payload }) => [index, term, payload.length]),
    [
      [1, 1, 0],
      [2, 2, 0],
      [3, 3, 0],
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

  assert.deepEqual(await proposal, { index: 3, term: 2 });
  assert.equal(wasAcknowledgedEarly, false);
  assert.equal(commitIndex, 2);
});

test("proposals that arrive together share one sync, in their order", async () => {
  const disk = newDisk();
  const log = await openOn(disk);
  const syncsBefore = disk.syncCount;

  const positions = await Promise.all(Array.from({ length: 50 }, (_, at) => log.propose(bytes(`p${at}`))));

  assert.deepEqual(
    positions.map(({ index }) => index),
    Array.from({ length: 50 }, (_, at) => at + 3),
  );
  assert.equal(disk.syncCount - syncsBefore, 1);
  const texts = (await read(log, 2, 52)).map(({ payload }) => new TextDecoder().decode(payload));
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

  assert.deepEqual(seen, [1, 2, 3, 4]);
});

test("entries that a snapshot has replaced are refused to readers", async () => {
  const log = await openOn(newDisk());
  await log.propose(bytes("a"));
  await log.saveSnapshot({ last: { index: 3, term: 2 }, data: bytes("s") });

  await assert.rejects(read(log, 0, 1), { code: "CONFLICT", message: /a snapshot has replaced/ });
  assert.deepEqual(log.status().firstIndex, 4);
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
  assert.match(error.message, /kept, and may happen once there is room/);
  await assert.rejects(log.propose(bytes("refused")), { code: "DISK_FULL", message: /needed/ });
  disk.capacityBytes *= 4;
  const { index } = await log.propose(bytes("y"));
  // After the members, the leader's first entry, what was accepted, and the one that was kept.
  assert.equal(index, accepted + 4);
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
  assert.equal(again.status().commitIndex, acknowledged + 3);
});

test("the log of a version that knew no members opens, keeps all, and names its only member", async () => {
  const disk = newDisk();
  await writeFormatOne(disk, ["a", "b"]);

  const log = await openOn(disk);
  const texts = (await read(log, 0, 5)).map(
    ({ term, payload }) => `${term} ${new TextDecoder().decode(payload)}`,
  );
  await log.close();
  const again = await openOn(disk);

  // Its own first entry, two commands, then the entry that names the members and the leader's first.
  assert.deepEqual(texts, ["4 ", "4 a", "4 b", "5 ", "6 "]);
  assert.deepEqual(again.members(), ["c1"]);
  assert.equal(again.leadership().isLeader, true);
  assert.deepEqual(
    again.status().peers.map(({ id, role }) => [id, role]),
    [["c1", "voter"]],
  );
});

test("an entry that is too large is refused before anything happens", async () => {
  const log = await openOn(newDisk());

  await assert.rejects(log.propose(new Uint8Array(17 * 1024 * 1024)), { code: "INVALID_ARGUMENT" });
  assert.equal(log.status().commitIndex, 2);
});

const opened: ReplicatedLog[] = [];
after(() => Promise.all(opened.map((log) => log.close())));

function newDisk(): SimulatedDisk {
  return new SimulatedDisk({ random: seededRandom(1) });
}

async function openOn(disk: SimulatedDisk): Promise<RaftLog> {
  const log = await openSingleMemberLog({
    dir: "/log",
    memberId: "c1",
    clock: systemClock,
    logger: silentLogger,
    disk: disk.attach(),
    segmentBytes: 16 * 1024,
    reserveBytes: 0,
  });
  opened.push(log);
  return log;
}

/** A directory as it was written before a log named its members. */
async function writeFormatOne(disk: SimulatedDisk, texts: readonly string[]): Promise<void> {
  const header = { version: 1, memberId: "c1", clusterId: "", sequence: 1, firstIndex: 1 };
  const payloads = [new Uint8Array(0), ...texts.map(bytes)];
  const records = [
    { kind: "header", header },
    { kind: "hardState", hardState: { term: 4, vote: "c1", commit: 2 } },
    ...payloads.map((payload, at) => {
      const kind = at === 0 ? ("noop" as const) : ("command" as const);
      return { kind: "entry" as const, entry: { index: at + 1, term: 4, kind, payload } };
    }),
  ] as const;
  const { bytes: frame } = encodeFrame(records.map(encodeRecord), 0);
  const attached = disk.attach();
  const file = await attached.open("/log/0000000001-0000000000000001.wal", "create");
  await file.write(new Uint8Array(16 * 1024), 0);
  await file.write(frame, 0);
  await file.sync();
  await attached.syncDirectory("/log");
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
