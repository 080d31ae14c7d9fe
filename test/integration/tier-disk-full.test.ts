/** A coordinator whose disk is full steps aside: everybody can say so, and why. Needs root for a disk of its own. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { SmallDisk } from "../endurance/small-disk.js";
import { atEnd } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier } from "../support/coordinator-tier.js";

type Row = { readonly id: string; readonly state: string; readonly role: string; readonly problem: string };
type Status = {
  readonly problems: readonly {
    readonly severity: string;
    readonly subject: string;
    readonly message: string;
    readonly hint: string;
  }[];
};

/** A segment of the log and what stays free beside it, and some more. */
const DISK_MIB = 64;
const FULL =
  /^Its disk is full since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: Cannot extend the log in ".*data": \d+ bytes are free, \d+ are needed/;

test("a member whose disk is full is shown with that, wherever one asks, until there is room", async (t) => {
  const disks = await tierOnSmallDisks(t);
  if (disks === null) return;
  const { tier, fill, free } = disks;
  const leader = await tier.leader();
  const follower = tier.members.find((each) => each !== leader) ?? assert.fail();
  fill(follower.id);

  await fillLog(tier, [follower.id]);

  for (const { id } of tier.members) {
    const row = await eventually(
      `${id} tells of the full disk`,
      async () =>
        (await rowsOf(tier, id)).find((each) => each.id === follower.id && each.state === "disk-full") ??
        null,
    );
    assert.match(row.problem, FULL);
    assert.match(row.problem, /Free space on that file system/);
    const status = await eventually(
      `${id} has it in the status`,
      async () =>
        (await problemsOf(tier, id)).find((each) => each.subject === `coordinator ${follower.id}`) ?? null,
    );
    assert.match(status.message, FULL);
    assert.match(status.hint, /Free space/);
    assert.equal(status.severity, "warning");
  }
  // On a busy machine another one may lead by now.
  const leading = await tier.leader();
  const words = (await problemsOf(tier, leading.id)).find(({ subject }) => subject === "coordinators");
  assert.match(
    words?.message ?? "",
    /is there, but does not take part .*disk-full.* one more loss stops the tier/,
  );
  const metrics = await (await fetch(`http://${leading.http}/metrics`)).text();
  assert.match(
    metrics,
    new RegExp(`raft_member_trouble\\{coordinator="${follower.id}",kind="disk-full"\\} 1`),
  );
  assert.match(metrics, /raft_members_answering 2\n/);
  const logged = () =>
    leading
      .program()
      .events.filter(
        ({ event, coordinator }) => event === "tier.member_problem" && coordinator === follower.id,
      );
  assert.equal(logged().length, 1, JSON.stringify(logged()));

  free(follower.id);
  await eventually("it answers again, and nothing is wrong", async () => {
    const row = (await rowsOf(tier, leading.id)).find(({ id }) => id === follower.id);
    return row?.state === "answers" && row.problem === "";
  });
  assert.equal(logged().length, 1);
});

test("with the disks of a majority full nobody leads, and each of them says that it is its own disk", async (t) => {
  const disks = await tierOnSmallDisks(t);
  if (disks === null) return;
  const { tier, fill, free } = disks;
  await tier.leader();
  const full = ["c1", "c2"];
  for (const id of full) fill(id);

  await fillLog(tier, full);

  for (const id of full) {
    const problem = await eventually(
      `${id} says why nobody leads`,
      async () => (await problemsOf(tier, id)).find(({ message }) => message.startsWith("No leader")) ?? null,
    );
    assert.match(
      problem.message,
      new RegExp(`Coordinator "${id}" itself takes no part. Its disk is full since`),
    );
    assert.match(problem.hint, /Free space/);
    const { out } = await tier.ask(id, "coordinators", "list", "--stale", "-o", "wide");
    assert.match(out, new RegExp(`${id} +\\w+ +disk-full`));
    const refused = await tier.ask(id, "coordinators", "list");
    assert.match(refused.err, /Its disk is full since/);
  }

  for (const id of full) free(id);
  await eventually("all answer", async () =>
    (await rowsOf(tier, "c1")).every(({ state, problem }) => state === "answers" && problem === ""),
  );
});

async function tierOnSmallDisks(t: TestContext): Promise<{
  readonly tier: CoordinatorTier;
  readonly fill: (id: string) => void;
  readonly free: (id: string) => void;
} | null> {
  if (process.getuid?.() !== 0) {
    t.skip("only root may mount a small disk");
    return null;
  }
  const tier = await startCoordinatorTier(t, { yaml: "clusters: {web: {type: http}}", isStarted: false });
  const disks = new Map(
    tier.members.map(({ id, folder }) => [id, new SmallDisk(join(folder, "data"), DISK_MIB)]),
  );
  for (const disk of disks.values()) {
    try {
      disk.mount();
    } catch (thrown) {
      t.skip(`no file system can be mounted here: ${String(thrown)}`);
      return null;
    }
    atEnd(t, () => disk.unmount());
  }
  for (const member of tier.members) member.launch();
  await Promise.all(
    tier.members.map((member) => member.program().event(({ event }) => event === "coordinator.started")),
  );
  await tier.settled();
  return { tier, fill: (id) => disks.get(id)?.fill(), free: (id) => disks.get(id)?.free() };
}

/**
 * Changes that stay large when they are packed, until these members need another segment. With the disks of a
 * majority full, nobody answers the last one.
 */
async function fillLog(tier: CoordinatorTier, full: readonly string[]): Promise<void> {
  const file = join(tier.folder, "large.yaml");
  const isOutOfRoom = (id: string): boolean =>
    tier
      .of(id)
      .program()
      .events.some(({ event }) => event === "raft.disk_full");
  for (let change = 1; !full.every(isOutOfRoom); change++) {
    assert.ok(change <= 20, "twenty large changes left room");
    const lines = Array.from({ length: 4 * 1024 }, () => `# ${randomBytes(768).toString("base64")}`);
    writeFileSync(file, `clusters: {web: {type: http}, more${change}: {type: http}}\n${lines.join("\n")}\n`);
    await tier.duckctl("config", "apply", file, "--timeout", "10s");
  }
}

async function rowsOf(tier: CoordinatorTier, id: string): Promise<readonly Row[]> {
  const { code, out } = await tier.ask(id, "coordinators", "list", "-o", "json");
  return code === 0 ? (JSON.parse(out) as Row[]) : [];
}

async function problemsOf(tier: CoordinatorTier, id: string): Promise<Status["problems"]> {
  const { code, out } = await tier.ask(id, "status", "-o", "json");
  return code === 0 ? (JSON.parse(out) as Status).problems : [];
}
