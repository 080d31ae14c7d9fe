/**
 * Bugs of other implementations below the core: what they saved, when, and what they did about damage.
 * Played on the real storage with a disk whose plug can be pulled.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../common/clock.js";
import { ClusterduckError } from "../../../../common/errors.js";
import { silentLogger } from "../../../../common/logger.js";
import { seededRandom } from "../../../../common/random.js";
import type { ReplicatedLog } from "../../../../coordinator/log/replicated-log.js";
import { Snapshotter } from "../../../../coordinator/replica-snapshots.js";
import { StateMachine } from "../../../../coordinator/state/machine.js";
import { SimulatedDisk } from "../../../support/simulated-disk.js";
import { command, openStorage } from "./steps.js";

const MEMBERS = [{ id: "c1", role: "voter", address: "" }] as const;
const SEEDS = Array.from({ length: 30 }, (_, at) => at + 1);

test("robustmq-2039: a vote and entries that were acknowledged survive the loss of power", async () => {
  for (const seed of SEEDS) {
    const disk = new SimulatedDisk({ random: seededRandom(seed) });
    const storage = await openStorage(disk);
    await storage.append({ entries: [command(1, 4)], hardState: { term: 4, vote: "c2", commit: 0 } });

    disk.crash();
    const again = await openStorage(disk);

    assert.deepEqual(again.hardState, { term: 4, vote: "c2", commit: 0 }, `seed ${seed}`);
    assert.deepEqual(again.last, command(1, 4), `seed ${seed}`);
  }
});

test("rostam-94: after a failed sync nothing is written again, and no later write succeeds", async () => {
  const disk = new SimulatedDisk({ random: seededRandom(1) });
  const storage = await openStorage(disk);
  await storage.append({ entries: [command(1, 1)] });
  disk.failNext("sync", "DISK_FAILED");

  const outcomes = await Promise.allSettled([
    storage.append({ entries: [command(2, 1)] }),
    storage.append({ entries: [command(3, 1)] }),
  ]);
  const late = await Promise.allSettled([storage.append({ entries: [command(2, 1)] })]);

  assert.deepEqual(
    [...outcomes, ...late].map(({ status }) => status),
    ["rejected", "rejected", "rejected"],
  );
});

test("canonical-raft-320: after a failed write no other entry gets its index and term", async () => {
  const disk = new SimulatedDisk({ random: seededRandom(1) });
  const storage = await openStorage(disk);
  disk.failNext("write", "DISK_FAILED");
  await assert.rejects(storage.append({ entries: [command(1, 1, "first")] }), { code: "DISK_FAILED" });

  await assert.rejects(storage.append({ entries: [command(1, 1, "second")] }), { code: "DISK_FAILED" });

  disk.crash();
  const again = await openStorage(disk);
  assert.ok(again.last.index === 0 || new TextDecoder().decode(again.entry(1)?.payload) === "first");
});

test("etcd-13766: the index of what is applied is durable with the data it belongs to, or not at all", async () => {
  for (const seed of SEEDS) {
    const disk = new SimulatedDisk({ random: seededRandom(seed) });
    const storage = await openStorage(disk);
    for (let index = 1; index <= 20; index++) await storage.append({ entries: [command(index, 1)] });
    const crashed = new Promise<void>((resolve) => disk.crashAfter(seed, resolve));
    const saving = (async () => {
      for (const index of [5, 10, 15, 20]) {
        const data = new TextEncoder().encode(`as of ${index}`);
        await storage.saveSnapshot({ last: { index, term: 1 }, data }, MEMBERS);
      }
    })();
    await Promise.race([crashed, saving]);
    disk.crash();

    const again = await openStorage(disk);
    const snapshot = await again.loadSnapshot();

    const text = new TextDecoder().decode(snapshot?.data);
    assert.equal(text, snapshot === null ? "" : `as of ${snapshot.last.index}`, `seed ${seed}`);
    assert.equal(again.last.index, 20, `seed ${seed}`);
    for (let index = again.base.index + 1; index <= 20; index++)
      assert.equal(again.termAt(index), 1, `seed ${seed}, entry ${index}`);
  }
});

test("fast18-alagappan: damage in what was acknowledged is named and refused, never cut off or guessed", async () => {
  for (const seed of SEEDS) {
    const random = seededRandom(seed);
    const disk = new SimulatedDisk({ random });
    const storage = await openStorage(disk);
    let used = 0;
    for (let index = 1; index <= 10; index++) {
      await storage.append({ entries: [command(index, 1)] });
      used = storage.bytes;
    }
    await storage.close();
    const path = disk.paths().find((each) => each.endsWith(".wal")) ?? "";
    disk.flipBit(path, Math.floor(random() * used), 1 << Math.floor(random() * 8));

    const outcome = await openStorage(disk).then(
      (opened) => `opened up to ${opened.last.index}`,
      (thrown: unknown) => (thrown instanceof ClusterduckError ? thrown.code : String(thrown)),
    );

    assert.equal(outcome, "LOG_CORRUPT", `seed ${seed}`);
  }
});

test("camunda-10202: a leader's snapshot takes the place of a log that is shorter, and it goes on behind it", async () => {
  const disk = new SimulatedDisk({ random: seededRandom(1) });
  const storage = await openStorage(disk);
  await storage.append({ entries: [command(1, 1), command(2, 1)] });

  const data = new TextEncoder().encode("as of 9");
  await storage.installSnapshot({ last: { index: 9, term: 3 }, data }, MEMBERS);
  await storage.append({ entries: [command(10, 3)] });
  disk.crash();
  const again = await openStorage(disk);

  assert.deepEqual(again.base, { index: 9, term: 3 });
  assert.equal(again.last.index, 10);
  assert.equal(again.termAt(2), null);
});

test("arcadedb-5345: large entries call for a snapshot before there are many, and it frees the disk", async () => {
  const saved: number[] = [];
  const log = {
    status: () => ({ commitIndex: 1, lastIndex: 1, firstIndex: 0, bytes: 0 }),
    saveSnapshot: async ({ last }: { readonly last: { readonly index: number } }) =>
      void saved.push(last.index),
  } as unknown as ReplicatedLog;
  const snapshotter = new Snapshotter(log, new StateMachine(), {
    clock: systemClock,
    logger: silentLogger,
    snapshotEntries: 1_000_000,
  });
  for (let count = 0; count < 40; count++) snapshotter.onApplied(1024 * 1024);
  await snapshotter.settled();
  assert.equal(saved.length, 1);

  const disk = new SimulatedDisk({ random: seededRandom(1) });
  const storage = await openStorage(disk);
  let most = 0;
  for (let index = 1; index <= 200; index++) {
    await storage.append({ entries: [command(index, 1, "x".repeat(1000))] });
    if (index % 20 !== 0) continue;
    await storage.saveSnapshot({ last: { index, term: 1 }, data: new Uint8Array(100) }, MEMBERS);
    most = Math.max(most, disk.usedBytes());
  }
  assert.ok(most < 100_000, `${most} bytes for 200 entries of 1000`);
});
