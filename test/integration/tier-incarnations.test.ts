/** What a coordinator that began anew, or came back from an older copy, and the tier that goes on make of each other. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { atEnd } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier, TierProcess } from "../support/coordinator-tier.js";
import { runProgram } from "../support/program.js";

type Row = {
  readonly id: string;
  readonly role: string;
  readonly state: string;
  readonly matchIndex?: string;
  readonly problem?: string;
};
type Status = { readonly leaderId: string; readonly term: string };

const YAML = "clusters: {web: {type: tcp}}";
const INCARNATION = /incarnation [0-9a-f]{16} of tier/;

test("a snapshot restored on one member of a living tier takes nothing from the others: both sides refuse and say so", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  const file = join(tier.folder, "saved.snapshot");
  const saved = await tier.duckctl("snapshot", "save", file);
  assert.equal(saved.code, 0, saved.err);
  const leader = await tier.leader();
  const restored = await stopped(tier.members.find(({ id }) => id !== leader.id));
  assert.equal((await tier.ask(leader.id, "nodes", "add", "web", "10.0.0.1:80")).code, 0);
  const before = await statusOf(tier, leader.id);

  const asked = command(t, restored, "snapshot", "restore", file);
  assert.equal(await asked.ended, 2, asked.text());
  assert.match(
    asked.text(),
    /Nothing was done: nobody can be asked here[\s\S]*Only when .*"c\d", "c\d" are lost/,
  );
  const agreed = command(t, restored, "snapshot", "restore", file, "--yes");
  assert.equal(await agreed.ended, 0, agreed.text());
  await restored.start();
  const refused = await restored.program().event(({ event }) => event === "raft.peer_refused");
  assert.match(String(refused["problem"]), INCARNATION);
  const unreachable = await leader
    .program()
    .event(({ event, problem }) => event === "raft.peer_unreachable" && INCARNATION.test(String(problem)));
  assert.match(String(unreachable["problem"]), /as it was founded.*duckctl coordinators add ID/);

  assert.match(
    await printed(restored, "status"),
    /error: coordinator c\d: Cannot take messages .* incarnation [0-9a-f]{16}/,
  );
  const row = await eventually("it is shown", async () => {
    const found = (await rowsOf(tier, leader.id)).find(({ id }) => id === restored.id);
    return found?.state === "missing" && found.problem !== "" && found;
  });
  assert.match(row.problem ?? "", INCARNATION);
  const started = await restored.program().event(({ event }) => event === "coordinator.started");
  assert.ok(Number(started["term"]) > 2 ** 20, String(started["term"]));
  // Time for an election, had the restored one deposed anybody.
  await delay(2_500);
  const added = await tier.ask(leader.id, "nodes", "add", "web", "10.0.0.2:80");
  assert.equal(added.code, 0, added.err);
  assert.deepEqual(await statusOf(tier, leader.id), before);
  const nodes = await tier.ask(leader.id, "nodes", "list", "-o", "name");
  assert.equal(nodes.out, "web/10.0.0.1:80\nweb/10.0.0.2:80\n");
});

test("a coordinator that had founded a tier of its own goes on with the snapshot of another", async (t) => {
  const [lost, founded] = await Promise.all(
    [1, 2].map(() => startCoordinatorTier(t, { yaml: YAML, size: 1 })),
  );
  assert.ok(lost !== undefined && founded !== undefined);
  await Promise.all([lost.settled(), founded.settled()]);
  assert.equal((await lost.duckctl("nodes", "add", "web", "10.0.0.7:80")).code, 0);
  const file = join(lost.folder, "saved.snapshot");
  assert.equal((await lost.duckctl("snapshot", "save", file)).code, 0);
  const again = await stopped(founded.of("c1"));

  const restored = command(t, again, "snapshot", "restore", file);
  assert.equal(await restored.ended, 0, restored.text());
  await again.start();

  await eventually("it leads", async () => (await rowsOf(founded, "c1"))[0]?.role === "leader");
  assert.match((await founded.duckctl("nodes", "list", "web", "-o", "name")).out, /web\/10\.0\.0\.7:80/);
});

test("members that come back after recover-quorum was done without them have no part in what it began", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  const [first, second, third] = tier.members;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  await Promise.all(tier.members.map((member) => stopped(member)));

  const recovered = command(t, first, "recover-quorum", "--yes");
  assert.equal(await recovered.ended, 0, recovered.text());
  assert.match(recovered.text(), /data directories of c2 and c3/);
  await Promise.all([first, second, third].map((member) => member.start()));

  const refused = await first.program().event(({ event }) => event === "raft.peer_refused");
  assert.match(
    String(refused["problem"]),
    /coordinator "c[23]": it belongs to tier .* as it was founded, "c1" to incarnation/,
  );
  await second
    .program()
    .event(({ event, problem }) => event === "raft.peer_unreachable" && INCARNATION.test(String(problem)));
  const old = await tier.leader(["c2", "c3"]);
  const before = await statusOf(tier, old.id);
  assert.ok(Number(before.term) < 2 ** 20, before.term);

  // Whoever joins is told which incarnation it is let into.
  const token = (await tier.ask("c1", "tokens", "create", "c4", "-o", "name")).out.trim();
  const fourth = await tier.prepare("c4");
  const joined = command(t, fourth, "join", first.raft, "--token", token);
  assert.equal(await joined.ended, 0, joined.text());
  await fourth.start();
  await eventually("c4 votes", async () =>
    (await rowsOf(tier, "c1")).some(({ id, role }) => id === "c4" && role !== "learner"),
  );
  assert.equal(await incarnationOf(fourth), await incarnationOf(first));
  assert.notEqual(await incarnationOf(fourth), await incarnationOf(second));
  assert.equal((await tier.ask("c1", "nodes", "add", "web", "10.0.0.1:80")).code, 0);
  assert.deepEqual(await statusOf(tier, old.id), before);
  assert.equal((await tier.ask(old.id, "nodes", "list", "-o", "name")).out.trim(), "");
});

test("a member that comes back from an older copy of its directory is told of, with the remedy", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  const leader = await tier.leader();
  const member = await stopped(tier.members.find(({ id }) => id !== leader.id));
  const data = join(member.folder, "data");
  const copy = join(tier.folder, "copy");
  await cp(data, copy, { recursive: true });
  await member.start();
  const { out } = await tier.ask(leader.id, "nodes", "add", "web", "10.0.0.1:80");
  assert.match(out, /added/);
  await eventually("it has acknowledged it", async () => {
    const rows = await rowsOf(tier, leader.id);
    const lead = rows.find(({ id }) => id === leader.id);
    return rows.find(({ id }) => id === member.id)?.matchIndex === lead?.matchIndex;
  });

  await member.program().kill();
  await rm(data, { recursive: true });
  await cp(copy, data, { recursive: true });
  await member.start();

  const told = await leader.program().event(({ event }) => event === "tier.member_problem");
  assert.match(String(told["message"]), /denies what it has acknowledged.*an older copy/);
  assert.match(String(told["hint"]), new RegExp(`duckctl coordinators remove ${member.id};`));
  const row = (await rowsOf(tier, leader.id)).find(({ id }) => id === member.id);
  assert.match(row?.problem ?? "", /denies what it has acknowledged/);
  const status = await tier.ask(leader.id, "status");
  assert.match(
    status.out,
    new RegExp(`warning: coordinator ${member.id}: .*denies what it has acknowledged`),
  );
  // Some looks later it was told once.
  await delay(1_200);
  const times = leader.program().events.filter(({ event }) => event === "tier.member_problem").length;
  assert.equal(times, 1);
});

test("a damaged log of a tier's member is not to be restored but replaced, says the one who looks; and a restore asks", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML, size: 1 });
  await tier.settled();
  const [only] = tier.members;
  const file = join(tier.folder, "saved.snapshot");
  assert.equal((await tier.duckctl("snapshot", "save", file)).code, 0);
  const member = await stopped(only);
  const data = join(member.folder, "data");
  const alone = command(t, member, "snapshot", "restore", file);
  assert.equal(await alone.ended, 0, alone.text());
  const [segment = ""] = (await readdir(data)).filter((name) => name.endsWith(".wal"));
  await writeFile(join(data, segment), "damaged");

  assert.match(
    await printed(member, "log", "verify"),
    /DAMAGED: .*\nWhile a majority of the other coordinators works, replace this one.*Only when the others are lost too/,
  );
  const asked = command(t, member, "snapshot", "restore", file);
  assert.equal(await asked.ended, 2, asked.text());
  assert.match(asked.text(), /Only when the other coordinators are lost for good: repeat it with --yes/);
  const agreed = command(t, member, "snapshot", "restore", file, "--yes");
  assert.equal(await agreed.ended, 0, agreed.text());
});

test("that there is a log is noted before it is opened, so that a wiped disk cannot be taken for a new one", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML, size: 1, isStarted: false });
  const [only] = tier.members;
  assert.ok(only);

  await only.launch().event(({ event }) => event === "log.opened");

  const text = await readFile(join(only.folder, "data", "tier.json"), "utf8");
  const { hasLog, clusterId } = JSON.parse(text) as { hasLog: boolean; clusterId: string };
  assert.equal(hasLog, true);
  const started = await only.program().event(({ event }) => event === "coordinator.started");
  assert.deepEqual([started["cluster_id"], clusterId !== ""], [clusterId, true]);
});

test("a member whose tier.json is gone does not begin anew by itself: it says what helps, and that does", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  const leader = await tier.leader();
  const member = await stopped(tier.members.find(({ id }) => id !== leader.id));
  const path = join(member.folder, "data", "tier.json");
  const backup = await readFile(path, "utf8");
  await rm(path);

  const refused = member.launch();
  assert.equal(await refused.ended, 1, refused.text());
  assert.match(refused.text(), /tier\.json" is missing/);
  assert.match(refused.text(), /back from a backup.*coordinators remove c\d.*recover-quorum/s);
  const joining = command(t, member, "join", leader.raft, "--token", "none");
  assert.notEqual(await joining.ended, 0);
  assert.match(joining.text(), /tier\.json" is missing/);
  await assert.rejects(readFile(path), { code: "ENOENT" });

  await writeFile(path, backup);
  await member.start();
  await eventually("it follows again", async () =>
    (await rowsOf(tier, leader.id)).some(({ id, state }) => id === member.id && state === "answers"),
  );
});

async function stopped(member: TierProcess | undefined): Promise<TierProcess> {
  assert.ok(member);
  member.program().signal("SIGTERM");
  await member.program().ended;
  return member;
}

function command(t: TestContext, member: TierProcess, ...args: readonly string[]) {
  const run = runProgram("duck-coordinator", [...args, "-c", member.file]);
  atEnd(t, () => run.kill());
  return run;
}

/** What `duck-coordinator` prints on the member's host. */
async function printed({ file }: TierProcess, ...args: readonly string[]): Promise<string> {
  const program = fileURLToPath(new URL("../../bin/duck-coordinator.js", import.meta.url));
  return new Promise((resolve) => {
    // It exits with an error where there is a problem.
    execFile(process.execPath, [program, ...args, "-c", file], (_error, out) => resolve(out));
  });
}

async function rowsOf(tier: CoordinatorTier, id: string): Promise<readonly Row[]> {
  const { out } = await tier.ask(id, "coordinators", "list", "-o", "json");
  return JSON.parse(out || "[]") as Row[];
}

async function statusOf(tier: CoordinatorTier, id: string): Promise<Status> {
  const { out } = await tier.ask(id, "status", "-o", "json", "--stale");
  const { leaderId, term } = JSON.parse(out) as Status;
  return { leaderId, term };
}

async function incarnationOf({ folder }: TierProcess): Promise<string> {
  const text = await readFile(join(folder, "data", "tier.json"), "utf8");
  return (JSON.parse(text) as { incarnation: string }).incarnation;
}
