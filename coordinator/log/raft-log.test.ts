import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../common/clock.js";
import { createLogger, silentLogger } from "../../common/logger.js";
import type { Logger } from "../../common/logger.js";
import { seededRandom } from "../../common/random.js";
import { MemoryNetwork } from "../../test/support/memory-network.js";
import { SimulatedDisk } from "../../test/support/simulated-disk.js";
import { until } from "../../test/support/until.js";
import type { Membership } from "../raft/membership.js";
import { openRaftLog } from "./open-raft-log.js";
import type { RaftLog } from "./raft-log.js";
import type { LogEntry } from "./replicated-log.js";
import { noTransport } from "./transport/peer-transport.js";
import type { PeerTransport, TransportHandler } from "./transport/peer-transport.js";

test("three members elect a leader and commit what any of them is asked to", async (context) => {
  const tier = await openTier(context, 3);
  const leader = await tier.leader();

  const positions = await Promise.all(
    tier.logs().map((log, at) => log.propose(bytes(`from ${at}`)).then(({ index }) => index)),
  );

  assert.equal(new Set(positions).size, 3);
  const last = Math.max(...positions);
  for (const log of tier.logs()) {
    const texts = (await read(log, 0, last)).map(({ payload }) => new TextDecoder().decode(payload));
    assert.deepEqual(texts.filter((text) => text !== "").sort(), ["from 0", "from 1", "from 2"]);
  }
  assert.equal(leader.leadership().isLeader, true);
});

test("a read barrier on a follower covers what was acknowledged before", async (context) => {
  const tier = await openTier(context, 3);
  const leader = await tier.leader();
  const follower = tier.followers()[0]!;

  const { index } = await leader.propose(bytes("a"));
  const barrier = await follower.readBarrier();

  assert.ok(barrier >= index);
});

test("when the leader is cut off the others go on, and it follows them when it is back", async (context) => {
  const tier = await openTier(context, 3);
  const old = await tier.leader();
  const oldId = tier.idOf(old);
  await old.propose(bytes("before"));

  tier.network.cutOff(oldId);
  const orphan = old.propose(bytes("lost")).then(
    () => "committed",
    (error: { code: string }) => error.code,
  );
  const leader = await tier.leader((log) => log !== old);
  const { index } = await leader.propose(bytes("after"));
  tier.network.heal(oldId);

  assert.ok(["committed", "UNREACHABLE"].includes(await orphan));
  await until(() => old.status().commitIndex >= index, "the old leader follows");
  assert.equal(old.leadership().isLeader, false);
  const entries = await read(old, 0, index);
  assert.deepEqual(
    entries.map(({ term }) => term),
    (await read(leader, 0, index)).map(({ term }) => term),
  );
});

test("proposals without a quorum are refused as unknown in time, and reads as unreachable", async (context) => {
  const tier = await openTier(context, 3, { timeoutMs: 400 });
  const leader = await tier.leader();
  for (const follower of tier.followers()) tier.network.cutOff(tier.idOf(follower));

  const proposal = leader.propose(bytes("a"));

  await assert.rejects(proposal, { code: "UNREACHABLE", message: /may still happen/ });
  await assert.rejects(leader.readBarrier(), { code: "UNREACHABLE" });
  await until(() => leader.leadership().leaderId === null, "the leader steps down");
  await assert.rejects(leader.propose(bytes("b")), { code: "NOT_LEADER", message: /no leader was found/ });
});

test("leadership is handed over on request, and when the leader closes", async (context) => {
  const tier = await openTier(context, 3);
  const first = await tier.leader();
  const wanted = tier.followers()[0]!;

  await first.transferLeadership(tier.idOf(wanted));
  assert.equal(wanted.leadership().isLeader, true);
  assert.equal(first.leadership().leaderId, tier.idOf(wanted));

  const before = performance.now();
  await wanted.close();
  const next = await tier.leader((log) => log !== wanted);
  assert.ok(performance.now() - before < 250, "far below an election timeout");
  await next.propose(bytes("a"));
});

test("a member is added, caught up with a snapshot, promoted, and removed", async (context) => {
  const tier = await openTier(context, 3);
  const leader = await tier.leader();
  for (let at = 0; at < 30; at++) await leader.propose(bytes(`entry ${at}`));
  const { index } = await leader.propose(bytes("last"));
  const { term } = leader.leadership();
  for (const log of tier.logs()) {
    await until(() => log.status().appliedIndex >= index, "all is applied");
    await log.saveSnapshot({ last: { index, term }, data: bytes("the state") });
  }
  // A restart drops what the core keeps before the snapshot.
  for (const id of ["c1", "c2", "c3"]) await tier.restart(id);
  const next = await tier.leader();
  await next.changeMembership({ kind: "add", id: "c4", address: "c4:1" });

  const joined = await tier.open("c4", null);
  await until(() => {
    const { state } = next.status().peers.find(({ id }) => id === "c4")?.replication ?? {};
    return state === "replicate" && joined.status().commitIndex >= index;
  }, "the new member has caught up");
  await next.changeMembership({ kind: "promote", id: "c4" });

  assert.equal(
    new TextDecoder().decode((await joined.loadSnapshot())?.data ?? bytes("entries")),
    "the state",
  );
  assert.deepEqual(next.members(), ["c1", "c2", "c3", "c4"]);
  const removed = tier.followers().find((log) => log !== joined)!;
  await next.changeMembership({ kind: "remove", id: tier.idOf(removed) });
  await next.propose(bytes("on"));
  assert.equal(next.members().length, 3);
});

test("a snapshot that a member cannot read of its own is not read at every heartbeat, and sent once it can", async (context) => {
  const events: string[] = [];
  const logger = createLogger({
    program: "test",
    isForPeople: false,
    write: (line) => void events.push(line),
  });
  const tier = await openTier(context, 1, { logger });
  const alone = await tier.leader();
  const last = await alone.propose(bytes("a"));
  await alone.saveSnapshot({ last, data: bytes("the state") });
  await tier.restart("c1");
  const leader = await tier.leader();
  const disk = tier.disk("c1");
  const path = disk.paths().find((each) => each.endsWith(".snap"))!;
  disk.flipBit(path, disk.bytesOf(path).length - 12);
  const unreadable = (): number => events.filter((line) => line.includes("raft.snapshot_unreadable")).length;

  await leader.changeMembership({ kind: "add", id: "c2", address: "c2:1" });
  const joined = await tier.open("c2", null);
  await until(() => unreadable() > 0, "it was read");
  // Ten heartbeats.
  await systemClock.sleep(200);
  const attempts = unreadable();
  disk.flipBit(path, disk.bytesOf(path).length - 12);

  assert.equal(attempts, 1);
  await until(() => joined.status().commitIndex >= last.index, "it is sent");
});

test("a snapshot that arrives while a member stops is refused, and not left without an answer", async () => {
  const tier = new Tier(1, {});
  let handler: TransportHandler | null = null;
  const transport = { ...noTransport, start: (given: TransportHandler) => void (handler = given) };
  const log = await tier.open("c2", [], { transport });
  const taken = handler as TransportHandler | null;
  const membership = [{ id: "c1", role: "voter", address: "" }] as const;
  const take = (index: number) =>
    taken?.onSnapshot(
      {
        from: "c1",
        to: "c2",
        term: 3,
        kind: "installSnapshot",
        last: { index, term: 2 },
        membership,
      },
      bytes("the state"),
    );

  tier.disk("c2").holdSyncs();
  const early = assert.rejects(Promise.resolve(take(9)), { code: "STOPPING" });
  const closing = log.close();
  await early;
  tier.disk("c2").releaseSyncs();
  await closing;

  await assert.rejects(Promise.resolve(take(10)), { code: "STOPPING" });
});

test("changes of members that cannot be are refused in words", async (context) => {
  const tier = await openTier(context, 3);
  const leader = await tier.leader();
  const follower = tier.followers()[0]!;

  await assert.rejects(leader.changeMembership({ kind: "remove", id: "c9" }), {
    code: "CONFLICT",
    message: 'Cannot remove coordinator "c9": it is no member',
  });
  await assert.rejects(leader.changeMembership({ kind: "add", id: "c1", address: "" }), {
    message: /member already/,
  });
  await assert.rejects(follower.changeMembership({ kind: "remove", id: "c1" }), {
    code: "NOT_LEADER",
    message: /leads/,
  });
  await assert.rejects(leader.transferLeadership("c9"), { code: "CONFLICT" });
  await assert.rejects(follower.transferLeadership(null), { code: "NOT_LEADER" });
});

test("all members that restart agree on what was acknowledged", async (context) => {
  const tier = await openTier(context, 3);
  const leader = await tier.leader();
  const { index } = await leader.propose(bytes("kept"));

  for (const id of ["c1", "c2", "c3"]) tier.crash(id);
  for (const id of ["c1", "c2", "c3"]) await tier.open(id);
  const again = await tier.leader();
  await again.propose(bytes("more"));

  const entry = (await read(again, index - 1, index))[0];
  assert.equal(new TextDecoder().decode(entry?.payload), "kept");
});

test("a leader whose disk is full hands over, and follows again when there is room", async (context) => {
  const tier = await openTier(context, 3, { segmentBytes: 16 * 1024 });
  const old = await tier.leader();
  const disk = tier.disk(tier.idOf(old));
  await old.propose(bytes("a"));

  disk.capacityBytes = disk.usedBytes();
  const deadline = performance.now() + 5_000;
  while (old.leadership().isLeader && performance.now() < deadline) {
    await old.propose(bytes("x".repeat(3_000))).catch(() => new Promise((resolve) => setTimeout(resolve, 5)));
  }
  const leader = await tier.leader((log) => log !== old);
  const { index } = await leader.propose(bytes("b"));
  const trouble = old.status().trouble;
  assert.equal(trouble?.kind, "disk-full");
  assert.match(
    trouble.message,
    /^Its disk is full since .* UTC: Cannot extend the log in ".*": \d+ bytes are free/,
  );
  assert.match(trouble.hint, /Free space/);

  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await until(() => old.status().persistedIndex >= index, "the old leader has it");
  assert.equal(old.status().trouble, undefined);
});

test("a leader whose disk hangs steps down, and its tier goes on", async (context) => {
  const tier = await openTier(context, 3);
  const old = await tier.leader();
  const disk = tier.disk(tier.idOf(old));

  disk.holdSyncs();
  void old.propose(bytes("held")).catch(() => undefined);
  const leader = await tier.leader((log) => log !== old);
  const { index } = await leader.propose(bytes("b"));
  await until(() => old.status().trouble !== undefined, "the old leader knows");
  assert.match(old.status().trouble?.message ?? "", /hangs .* since .* UTC: .* has not ended for \d/);
  disk.releaseSyncs();

  await until(() => old.status().persistedIndex >= index, "the old leader has it");
});

test("a failed sync of a follower stops it with its readers, and the others go on", async (context) => {
  const tier = await openTier(context, 3);
  const leader = await tier.leader();
  const follower = tier.followers()[0]!;
  const reading = assert.rejects(read(follower, 0, 1_000), { code: "DISK_FAILED" });
  tier.disk(tier.idOf(follower)).failNext("sync", "DISK_FAILED");

  await leader.propose(bytes("a"));

  await reading;
  await assert.rejects(follower.propose(bytes("b")), { code: "DISK_FAILED" });
  await leader.propose(bytes("c"));
});

test("changes of the members that come together follow each other", async (context) => {
  const tier = await openTier(context, 3);
  const leader = await tier.leader();

  await Promise.all(
    ["c4", "c5", "c6"].map((id) => leader.changeMembership({ kind: "add", id, address: `${id}:1` })),
  );

  const ids = leader.status().peers.map(({ id }) => id);
  assert.deepEqual(ids, ["c1", "c2", "c3", "c4", "c5", "c6"]);
});

test("a change that a majority never takes keeps the next one waiting only so long", async (context) => {
  const tier = await openTier(context, 3, { timeoutMs: 100 });
  const leader = await tier.leader();
  await leader.propose(bytes("a"));
  for (const follower of tier.followers()) tier.network.cutOff(tier.idOf(follower));

  const changes = await Promise.allSettled(
    ["c4", "c5"].map((id) => leader.changeMembership({ kind: "add", id, address: `${id}:1` })),
  );

  const codes = changes.map(
    (change) => change.status === "rejected" && (change.reason as { code: string }).code,
  );
  assert.deepEqual(codes, ["UNREACHABLE", "CONFLICT"]);
});

test("a listener that fails harms neither the log nor other listeners", async (context) => {
  const tier = await openTier(context, 3);
  const first = await tier.leader();
  const heard: (string | null)[] = [];
  for (const log of tier.logs()) {
    log.onLeadership(() => {
      throw new TypeError("a bug of the listener's");
    });
  }
  first.onLeadership(({ leaderId }) => heard.push(leaderId));

  await first.transferLeadership(null);

  const second = await tier.leader();
  await second.propose(bytes("a"));
  await first.propose(bytes("b"));
  assert.equal(heard.at(-1), tier.idOf(second));
});

test("what is to be noted of a log is noted once it is on the disk, before anybody is spoken to; else it does not open", async () => {
  const disk = new SimulatedDisk({ random: seededRandom(1) });
  const happened: string[] = [];
  const open = (onStored: () => Promise<void>): Promise<RaftLog> =>
    openRaftLog({
      dir: "/log",
      memberId: "c1",
      address: "c1:1",
      clusterId: "t",
      founding: [{ id: "c1", role: "voter", address: "c1:1" }],
      clock: systemClock,
      random: seededRandom(1),
      logger: silentLogger,
      disk: disk.attach(),
      transport: { ...noTransport, start: () => void happened.push("started") },
      segmentBytes: 64 * 1024,
      reserveBytes: 0,
      onStored,
    });
  const stored = (): void => {
    happened.push(`stored in ${disk.paths().filter((path) => path.endsWith(".wal")).length} file`);
  };

  const refused = open(async () => {
    stored();
    throw new Error("it cannot be noted");
  });
  await assert.rejects(refused, { message: "it cannot be noted" });
  assert.deepEqual(happened.splice(0), ["stored in 1 file"]);
  const log = await open(async () => stored());

  assert.deepEqual(happened, ["stored in 1 file", "started"]);
  await log.close();
});

test("the status tells of every peer", async (context) => {
  const tier = await openTier(context, 3);
  const leader = await tier.leader();
  const { index } = await leader.propose(bytes("a"));
  await until(
    () => leader.status().peers.every(({ matchIndex }) => (matchIndex ?? 0) >= index),
    "all have it",
  );

  const status = leader.status();

  assert.equal(status.role, "leader");
  assert.equal(status.leaderlessMs, 0);
  assert.deepEqual(
    status.peers.map(({ id, role }) => [id, role]),
    [
      ["c1", "voter"],
      ["c2", "voter"],
      ["c3", "voter"],
    ],
  );
  for (const peer of status.peers.filter(({ id }) => id !== tier.idOf(leader))) {
    assert.equal(peer.replication?.state, "replicate");
    assert.ok((peer.silentMs ?? Number.NaN) < 1_000);
    assert.equal(peer.link?.isConnected, true);
  }
});

type Extra = {
  readonly timeoutMs?: number;
  readonly segmentBytes?: number;
  readonly logger?: Logger;
  readonly transport?: PeerTransport;
};
type Context = { after(callback: () => Promise<void>): void };

async function openTier(context: Context, size: number, extra: Extra = {}): Promise<Tier> {
  const tier = new Tier(size, extra);
  context.after(() => tier.close());
  for (let at = 1; at <= size; at++) await tier.open(`c${at}`);
  return tier;
}

class Tier {
  readonly network = new MemoryNetwork();
  readonly #extra: Extra;
  readonly #founding: Membership;
  readonly #disks = new Map<string, SimulatedDisk>();
  readonly #logs = new Map<string, RaftLog>();

  constructor(size: number, extra: Extra) {
    this.#extra = extra;
    this.#founding = Array.from({ length: size }, (_, at) => {
      return { id: `c${at + 1}`, role: "voter" as const, address: `c${at + 1}:1` };
    });
  }

  async open(id: string, founding: Membership | null = this.#founding, extra: Extra = {}): Promise<RaftLog> {
    const log = await openRaftLog({
      dir: "/log",
      memberId: id,
      address: `${id}:1`,
      clusterId: "t",
      founding,
      clock: systemClock,
      random: seededRandom(Number(id.slice(1))),
      logger: silentLogger,
      transport: this.network.join(id),
      timing: { heartbeatMs: 20, electionMs: 150 },
      disk: this.disk(id).attach(),
      segmentBytes: 64 * 1024,
      reserveBytes: 0,
      ...this.#extra,
      ...extra,
    });
    this.#logs.set(id, log);
    return log;
  }

  disk(id: string): SimulatedDisk {
    let disk = this.#disks.get(id);
    if (disk === undefined) {
      disk = new SimulatedDisk({ random: seededRandom(7) });
      this.#disks.set(id, disk);
    }
    return disk;
  }

  logs(): readonly RaftLog[] {
    return [...this.#logs.values()];
  }

  idOf(log: RaftLog): string {
    for (const [id, each] of this.#logs) if (each === log) return id;
    throw new Error("The log is of no member");
  }

  followers(): readonly RaftLog[] {
    return this.logs().filter((log) => !log.leadership().isLeader);
  }

  async leader(isWanted: (log: RaftLog) => boolean = () => true): Promise<RaftLog> {
    let found: RaftLog | undefined;
    await until(() => {
      found = this.logs().find((log) => log.leadership().isLeader && isWanted(log));
      return found !== undefined;
    }, "a leader");
    return found!;
  }

  async restart(id: string): Promise<void> {
    await this.#logs.get(id)?.close();
    await this.open(id);
  }

  /** The plug is pulled: what the process awaits never settles. */
  crash(id: string): void {
    this.disk(id).crash();
    void this.#logs.get(id)?.close();
    this.#logs.delete(id);
  }

  async close(): Promise<void> {
    await Promise.all(this.logs().map((log) => log.close()));
  }
}

async function read(log: RaftLog, afterIndex: number, toIndex: number): Promise<readonly LogEntry[]> {
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
