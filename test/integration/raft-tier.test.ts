/** Three members as processes of their own, over real gRPC and real disks, and what happens to them. */
import assert from "node:assert/strict";
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { buildProgram } from "../../bench/support/build-member.js";
import { RaftTier } from "../support/raft-tier.js";
import type { TierMember } from "../support/raft-tier.js";

const TIMING = { heartbeatMs: 50, electionMs: 500 };
/** A member starts several times as fast as from its source, and these tests start fifty. */
const program = await buildProgram("test/support/raft-member-program.ts");

test("nothing acknowledged is lost when leaders are killed under load", async (context) => {
  const tier = await startTier(context);
  const load = new Load(tier, 16);

  for (let round = 0; round < 3; round++) {
    const leader = await tier.leader();
    await load.acknowledgedMore(100);
    await leader.kill("SIGKILL");
    await load.acknowledgedMore(100);
    await leader.start();
  }
  await load.end();

  for (const member of tier.members.slice(0, 3)) await load.check(member);
});

test("a leader that is stopped for a while is replaced, and follows when it goes on", async (context) => {
  const tier = await startTier(context);
  const load = new Load(tier, 8);
  const old = await tier.leader();
  await load.acknowledgedMore(50);

  old.signal("SIGSTOP");
  await load.acknowledgedMore(100);
  old.signal("SIGCONT");
  await load.acknowledgedMore(50);
  await load.end();

  const leader = await tier.leader();
  assert.notEqual(leader.id, old.id);
  for (const member of tier.members.slice(0, 3)) await load.check(member);
});

test("a tier of which all members are killed and started again has what was acknowledged", async (context) => {
  const tier = await startTier(context);
  const load = new Load(tier, 8);
  await load.acknowledgedMore(200);

  const members = tier.members.slice(0, 3);
  await Promise.all(members.map((member) => member.kill("SIGKILL")));
  await Promise.all(members.map((member) => member.start()));
  await load.acknowledgedMore(50);
  await load.end();

  for (const member of members) await load.check(member);
});

test("a member whose disk was wiped stays without a vote, and joins under another id by a snapshot", async (context) => {
  const tier = await startTier(context, { snapshotEntries: 50 });
  const load = new Load(tier, 8);
  await load.acknowledgedMore(300);
  const leader = await tier.leader();
  const [wiped] = tier.members.slice(0, 3).filter((member) => member !== leader);
  assert.ok(wiped !== undefined);

  await wiped.kill("SIGKILL");
  await rm(wiped.options.dir, { recursive: true });
  await wiped.start(null);
  await load.acknowledgedMore(50);
  assert.equal((await wiped.status())?.votedFor, null);
  await wiped.kill("SIGKILL");
  const joining = tier.member("c4");
  await leader.change({ kind: "remove", id: wiped.id });
  await leader.change({ kind: "add", id: "c4", address: `127.0.0.1:${joining.options.port}` });
  await joining.start(null);
  await leader.change({ kind: "promote", id: "c4" });
  await load.acknowledgedMore(50);
  await load.end();

  await load.check(joining);
  assert.ok(((await joining.status())?.snapshot.index ?? 0) > 0);
  assert.deepEqual(
    (await leader.status())?.peers.map(({ id, role }) => `${id} ${role}`).includes("c4 voter"),
    true,
  );
});

test("a log with a flipped bit is refused with file, offset and a way out, and the others go on", async (context) => {
  const tier = await startTier(context);
  const load = new Load(tier, 8);
  await load.acknowledgedMore(200);
  const leader = await tier.leader();
  const [damaged] = tier.members.slice(0, 3).filter((member) => member !== leader);
  assert.ok(damaged !== undefined);
  await damaged.kill("SIGKILL");

  const files = (await readdir(damaged.options.dir)).filter((name) => name.endsWith(".wal"));
  await flipBit(join(damaged.options.dir, files[0] ?? ""), 2_000);
  const refusal = await damaged.start().then(
    () => "it started",
    (error: Error) => error.message,
  );
  await load.acknowledgedMore(50);
  await load.end();

  assert.match(refusal, /\.wal.{1,4}holds .* at offset \d+/);
  // A snapshot would let it forget its votes while the others go on.
  assert.match(refusal, /duckctl coordinators remove c\d; .* another coordinator\.id/);
});

test("a snapshot with a flipped bit is refused with its offset", async (context) => {
  const tier = await startTier(context, { snapshotEntries: 50 });
  const load = new Load(tier, 8);
  await load.acknowledgedMore(300);
  await load.end();
  const [member] = tier.members;
  assert.ok(member !== undefined);
  await member.kill("SIGKILL");

  const files = (await readdir(member.options.dir)).filter((name) => name.endsWith(".snap"));
  await flipBit(join(member.options.dir, files.at(-1) ?? ""), 300);
  const refusal = await member.start().then(
    () => "it started",
    (error: Error) => error.message,
  );

  assert.match(refusal, /Snapshot .* is damaged at offset \d+/);
  assert.match(refusal, /Move .* away and start again/);
});

type Context = { after(callback: () => Promise<void>): void };

async function startTier(
  context: Context,
  extra: { readonly snapshotEntries?: number } = {},
): Promise<RaftTier> {
  const tier = await RaftTier.start({
    size: 3,
    segmentBytes: 256 * 1024,
    program: [program],
    ...TIMING,
    ...extra,
  });
  context.after(() => tier.close());
  return tier;
}

async function flipBit(path: string, offset: number): Promise<void> {
  const handle = await open(path, "r+");
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, offset);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 4]), 0, 1, offset);
  await handle.close();
}

/** Clients that write, each its own keys with growing numbers, to whichever member answers. */
class Load {
  readonly #tier: RaftTier;
  readonly #acknowledged = new Map<string, number>();
  readonly #clients: readonly Promise<void>[];
  #count = 0;
  #isOver = false;

  constructor(tier: RaftTier, clients: number) {
    this.#tier = tier;
    this.#clients = Array.from({ length: clients }, (_, id) => this.#run(`key-${id}`, id));
  }

  /** Waits until `count` further writes have been acknowledged. */
  async acknowledgedMore(count: number): Promise<void> {
    const wanted = this.#count + count;
    const deadlineMs = performance.now() + 60_000;
    while (this.#count < wanted) {
      if (performance.now() > deadlineMs) throw new Error(`Only ${this.#count} of ${wanted} writes`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  /** A write whose answer was lost may have happened, so a value may be ahead, never behind. */
  async check(member: TierMember): Promise<void> {
    const values = await member.values();
    for (const [key, number] of this.#acknowledged) {
      const found = Number(values.get(key) ?? "0");
      assert.ok(found >= number, `${member.id} has ${key} = ${found}, ${number} was acknowledged`);
    }
  }

  async #run(key: string, id: number): Promise<void> {
    let at = id;
    for (let number = 1; !this.#isOver; number++) {
      const members = this.#tier.members.filter(({ isRunning }) => isRunning);
      try {
        await members[at % members.length]?.put(key, String(number), 1_500);
        this.#acknowledged.set(key, number);
        this.#count++;
      } catch {
        at++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}
