import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../common/clock.js";
import type { Clock } from "../common/clock.js";
import { ClusterduckError } from "../common/errors.js";
import { silentLogger } from "../common/logger.js";
import { seededRandom } from "../common/random.js";
import { clusterOf } from "../test/support/cluster-config.js";
import { SimulatedDisk } from "../test/support/simulated-disk.js";
import { until } from "../test/support/until.js";
import type { ReplicatedLog } from "./log/replicated-log.js";
import { openSingleMemberLog } from "./log/single-member-log.js";
import { ensureInitialised, openReplica } from "./replica-over-log.js";
import type { OpenReplica } from "./replica-over-log.js";
import { encodeCommand } from "./state/codec.js";
import { StateMachine } from "./state/machine.js";

test("a proposal resolves when it is applied here, with what applying said", async () => {
  const { replica } = await open();
  await configure(replica);

  const added = await replica.propose(addNode(1), "api:test");
  const again = await replica.propose(addNode(1), "api:test");

  assert.deepEqual(added.result, { isAccepted: true });
  assert.equal(replica.state.nodes.get("web/10.0.0.1:80")?.epoch, added.position.index);
  assert.equal(again.result.isAccepted ? "" : again.result.code, "CONFLICT");
});

test("every applied entry reaches the listeners in order, also when one of them throws", async () => {
  const { replica } = await open();
  await configure(replica);
  const seen: number[] = [];
  replica.onApplied(() => {
    throw new Error("a listener's mistake");
  });
  const unsubscribe = replica.onApplied(({ position }) => seen.push(position.index));

  const proposals = await Promise.all([1, 2, 3].map((at) => replica.propose(addNode(at), "test")));
  unsubscribe();
  await replica.propose(addNode(4), "test");

  assert.deepEqual(
    seen,
    proposals.map(({ position }) => position.index),
  );
});

test("a restart restores the snapshot and the entries after it", async () => {
  const { replica, log, disk } = await open({ snapshotEntries: 10 });
  await configure(replica);
  for (let at = 1; at <= 25; at++) await replica.propose(addNode(at), "test");
  const nodes = [...replica.state.nodes.values()];
  const { clusterId, events } = replica.state;
  await replica.close();
  await log.close();

  const again = await open({ disk });

  assert.ok(again.log.status().firstIndex > 10, "snapshots have replaced entries");
  assert.deepEqual([...again.replica.state.nodes.values()], nodes);
  assert.deepEqual(again.replica.state.events, events);
  assert.equal(again.replica.state.clusterId, clusterId);
  assert.equal(again.replica.state.term, 3);
});

test("where little happens, a snapshot is taken once a day, with the first entry of the next", async () => {
  let extraMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + extraMs };
  const { replica, log } = await open({ clock });
  await configure(replica);
  extraMs = 24 * 3_600_000 - 60_000;
  await replica.propose(addNode(1), "test");
  assert.equal(log.status().firstIndex, 1);

  extraMs += 60_000;
  await replica.propose(addNode(2), "test");
  await until(() => log.status().firstIndex > 1, "a snapshot has replaced entries");
  await replica.close();
  await log.close();
});

test("where the entries in between are gone, another member's snapshot takes their place, and listeners are told", async () => {
  const other = new StateMachine();
  const last = { index: 1, term: 1 };
  const first = { type: "initialise", clusterId: "t" } as const;
  other.apply({ ...last, payload: encodeCommand({ atMs: 1, by: "leader", command: first }) });
  let isInstalled = false;
  const log: Partial<ReplicatedLog> = {
    loadSnapshot: async () => (isInstalled ? { last, data: other.snapshot() } : null),
    status: () => ({ commitIndex: 0 }) as ReturnType<ReplicatedLog["status"]>,
    entries: async function* (afterIndex, signal) {
      while (!isInstalled) await delay(1, undefined, { signal });
      if (afterIndex < last.index) throw new ClusterduckError("CONFLICT", "replaced by a snapshot");
      yield { index: last.index + 1, term: 1, payload: new Uint8Array() };
    },
  };
  const replica = await openReplica({
    log: log as ReplicatedLog,
    clock: systemClock,
    logger: silentLogger,
    snapshotEntries: 100,
    onFailure: (error) => assert.fail(String(error)),
  });
  const told: string[] = [];
  replica.onReplaced(() => {
    throw new Error("a listener's mistake");
  });
  replica.onReplaced(() => told.push(`replaced at ${replica.state.index}`));
  replica.onApplied(({ position }) => told.push(`applied ${position.index}`));

  isInstalled = true;
  await until(() => told.length === 2, "both are told");
  await replica.close();

  assert.deepEqual(told, [`replaced at ${last.index}`, `applied ${last.index + 1}`]);
  assert.equal(replica.state.clusterId, "t");
});

test("a new tier gets an identity once", async () => {
  const { replica } = await open();

  const [one, two] = await Promise.all([ensureInitialised(replica), ensureInitialised(replica)]);
  const index = replica.state.index;
  const three = await ensureInitialised(replica);

  assert.match(one, /^[0-9A-Z]{26}$/);
  assert.deepEqual([two, three, replica.state.index], [one, one, index]);
});

test("a failed disk fails proposals and reads, and is reported once", async () => {
  const failures: unknown[] = [];
  const { replica, disk } = await open({ onFailure: (error) => failures.push(error) });
  await configure(replica);
  disk.failNext("sync", "DISK_FAILED");

  await assert.rejects(replica.propose(addNode(1), "test"), { code: "DISK_FAILED" });
  await assert.rejects(replica.propose(addNode(2), "test"), { code: "DISK_FAILED" });
  await assert.rejects(replica.readBarrier(), { code: "DISK_FAILED" });

  assert.equal(failures.length, 1);
  assert.equal(replica.state.nodes.size, 0);
});

test("an entry of a newer version stops the replica", async () => {
  const failures: unknown[] = [];
  const { replica, log } = await open({ onFailure: (error) => failures.push(error) });

  await log.propose(new TextEncoder().encode('{"v":1,"atMs":1,"by":"x","command":{"type":"teleport"}}'));
  await assert.rejects(replica.readBarrier(), { code: "VERSION_UNSUPPORTED", message: /teleport/ });

  assert.equal(failures.length, 1);
  await assert.rejects(replica.propose(addNode(1), "test"), { code: "VERSION_UNSUPPORTED" });
});

test("after closing, proposals are refused", async () => {
  const { replica, log } = await open();
  await replica.close();

  await assert.rejects(replica.propose(addNode(1), "test"), { code: "STOPPING" });
  await log.close();
});

const opened: ReplicatedLog[] = [];
after(() => Promise.all(opened.map((log) => log.close())));

type Options = {
  readonly disk?: SimulatedDisk;
  readonly clock?: Clock;
  readonly snapshotEntries?: number;
  readonly onFailure?: (error: unknown) => void;
};

async function open(
  options: Options = {},
): Promise<{ readonly replica: OpenReplica; readonly log: ReplicatedLog; readonly disk: SimulatedDisk }> {
  const disk = options.disk ?? new SimulatedDisk({ random: seededRandom(1) });
  const shared = { clock: options.clock ?? systemClock, logger: silentLogger };
  const log = await openSingleMemberLog({
    ...shared,
    dir: "/log",
    memberId: "c1",
    disk: disk.attach(),
    segmentBytes: 64 * 1024,
    reserveBytes: 0,
  });
  opened.push(log);
  const replica = await openReplica({
    ...shared,
    log,
    snapshotEntries: options.snapshotEntries ?? 10_000,
    onFailure: options.onFailure ?? ((error) => assert.fail(String(error))),
  });
  return { replica, log, disk };
}

async function configure(replica: OpenReplica): Promise<void> {
  await ensureInitialised(replica);
  const config = { clusters: { web: clusterOf({ name: "web" }) }, balancers: {} };
  await replica.propose(
    { type: "applyConfig", config, yaml: "", source: "file", fileHash: "1", ifRevision: null },
    "file",
  );
}

function addNode(at: number) {
  const node = { cluster: "web", addr: `10.0.0.${at}:80` };
  return { type: "addNode", node, attributes: {}, isIdempotent: false } as const;
}
