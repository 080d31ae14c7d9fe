/** How a tier of real coordinators comes about, grows, shrinks, and survives the loss of its majority. */
import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/logger.js";
import { joinDurably } from "../../coordinator/tier/join-tier.js";
import { newTierFile } from "../../coordinator/tier/tier-file.js";
import { TierPassphrase } from "../../coordinator/tier/tier-passphrase.js";
import { atEnd } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier, TierProcess } from "../support/coordinator-tier.js";
import { runProgram } from "../support/program.js";

type Row = { readonly id: string; readonly role: string; readonly state: string };

const YAML = "clusters: {web: {type: tcp}}";

test("three bootstrap together when each knows one other, and form one tier", async (t) => {
  const tier = await startCoordinatorTier(t, {
    yaml: YAML,
    isStarted: false,
    bootstrap: ([first = ""]) => [first],
  });

  const runs = tier.members.map((member) => command(t, member, "bootstrap", "--expect", "3"));
  const codes = await Promise.all(runs.map(({ ended }) => ended));

  assert.deepEqual(codes, [0, 0, 0], runs.map(({ text }) => text()).join("\n"));
  const ids = await Promise.all(tier.members.map(clusterIdOf));
  assert.equal(new Set(ids).size, 1);
  await Promise.all(tier.members.map((member) => member.start()));
  await tier.settled();
  assert.equal((await tier.duckctl("nodes", "add", "web", "10.0.0.1:80")).code, 0);
});

test("a fourth joins by token, catches up, votes; one is replaced; a removed id and a wiped disk never return", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  for (let at = 1; at <= 5; at++) await tier.duckctl("nodes", "add", "web", `10.0.0.${at}:80`);
  const added = await tier.duckctl("coordinators", "add", "c4", "--valid", "10m");
  assert.equal(added.code, 0, added.err);
  const token = /DUCK_JOIN_TOKEN=(\S+) duck-coordinator join /.exec(added.out)?.[1] ?? "";
  const fourth = await tier.prepare("c4");

  const stranger = command(t, fourth, "join", tier.of("c2").raft, "--token", `${token}x`);
  assert.notEqual(await stranger.ended, 0);
  assert.match(stranger.text(), /not made by this tier/);
  const joined = command(t, fourth, "join", tier.of("c2").raft, "--token", token);
  assert.equal(await joined.ended, 0, joined.text());
  const spent = await tier.duckctl("tokens", "list");
  assert.match(spent.out, /^TOKEN +COORDINATOR +STATE +EXPIRES\n[0-9a-f]{12} +c4 +used +20/);
  await fourth.start();

  await eventually(
    "c4 votes",
    async () => (await rowsOf(tier)).find(({ id }) => id === "c4")?.role === "follower",
  );
  const seen = await eventually("c4 has caught up", async () => {
    const { out } = await tier.ask("c4", "nodes", "list", "web", "-o", "name", "--stale");
    return out.split("\n").length === 6 && out;
  });
  assert.match(seen, /10\.0\.0\.5:80/);
  assert.match((await tier.duckctl("status")).out, /4 coordinators vote: they bear no more losses than 3/);

  const removed = await tier.duckctl("coordinators", "remove", "c1", "--yes");
  assert.equal(removed.code, 0, removed.err);
  await eventually("three are left", async () => (await rowsOf(tier)).length === 3);
  const again = await tier.duckctl("coordinators", "add", "c1");
  assert.equal(again.code, 6);
  assert.match(again.err, /was one, and no id is used twice/);

  const third = tier.of("c3");
  await third.program().kill();
  await rm(join(third.folder, "data"), { recursive: true, maxRetries: 20 });
  // It still knows c2 from its configuration, and looks for a tier there.
  const wiped = third.launch();
  assert.notEqual(await wiped.ended, 0);
  assert.match(wiped.text(), /has lost its data directory.*may not come back under its old id/);
  assert.match(wiped.text(), /duckctl coordinators remove c3/);
});

test("where it is asked for, a dead coordinator goes when another has taken its place, and not before", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML, raft: () => "replace_dead_after: 5s" });
  await tier.settled();
  await tier.of("c3").program().kill();
  const diedAtMs = performance.now();
  await eventually("c3 was silent for longer", async () => performance.now() - diedAtMs > 7_000);
  assert.ok((await rowsOf(tier)).some(({ id }) => id === "c3"));

  const token = (await tier.duckctl("tokens", "create", "c4", "-o", "name")).out.trim();
  const fourth = await tier.prepare("c4");
  const joined = command(t, fourth, "join", tier.of("c1").raft, "--token", token);
  assert.equal(await joined.ended, 0, joined.text());
  await fourth.start();

  const rows = await eventually("c4 votes and c3 is gone", async () => {
    const now = await rowsOf(tier);
    return now.length === 3 && now.every(({ id }) => id !== "c3") && now;
  });
  assert.ok(
    rows.every(({ state }) => state === "answers"),
    JSON.stringify(rows),
  );

  await tier.of("c3").start();
  await eventually("c3 is told", async () =>
    /No leader.*not with.*"c3" was removed from this tier/.test(
      (await tier.ask("c3", "status", "--stale")).out,
    ),
  );
});

test("who was removed is told so whether it ran, was stopped or was off, and begins no second tier while the others live", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML, size: 5 });
  await tier.settled();
  const [running, stopped, off] = [tier.of("c3"), tier.of("c4"), tier.of("c5")];
  const early = tier.of("c1");
  early.program().signal("SIGTERM");
  await early.program().ended;
  const premature = command(t, early, "recover-quorum", "--yes");
  assert.notEqual(await premature.ended, 0);
  assert.match(
    premature.text(),
    /Cannot begin again from "c1": c2 .* and c5 .* answer.*Nothing is lost: start "c1" again/s,
  );
  await early.start();

  const remove = (id: string) =>
    eventually(`${id} is removed`, async () => {
      return (await tier.ask("c1", "coordinators", "remove", id, "--yes")).code === 0;
    });
  await remove(running.id);
  await eventually("c3 is told", () => toldRemoved(tier, running.id));
  stopped.program().signal("SIGSTOP");
  await remove(stopped.id);
  stopped.program().signal("SIGCONT");
  await eventually("c4 is told", () => toldRemoved(tier, stopped.id));
  await off.program().kill();
  await remove(off.id);
  await off.start();
  await eventually("c5 is told", () => toldRemoved(tier, off.id));

  for (const member of [running, stopped, off]) {
    member.program().signal("SIGTERM");
    await member.program().ended;
    const recovered = command(t, member, "recover-quorum", "--yes");
    assert.equal(await recovered.ended, await premature.ended, recovered.text());
    assert.match(recovered.text(), /c1 .* and c2 .* say that it was removed from the tier/);
    assert.match(recovered.text(), /duckctl tokens create NEW_ID/);
  }
  const meant = command(t, running, "recover-quorum", "--yes", "--despite-answers");
  assert.equal(await meant.ended, 0, meant.text());
});

test("several that join at the same moment are all let in", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML, size: 1 });
  await tier.settled();
  const passphrase = await TierPassphrase.open({
    passphrase: null,
    tls: null,
    clock: systemClock,
    logger: silentLogger,
  });
  const joining = await Promise.all(
    ["c2", "c3", "c4"].map(async (id) => {
      const { folder, raft } = await tier.prepare(id);
      const { out } = await tier.duckctl("tokens", "create", id);
      return { id, token: out.trim(), directory: join(folder, "data"), address: raft };
    }),
  );
  for (const { directory } of joining) await mkdir(directory, { recursive: true });

  // From one process: so they do come at the same moment.
  const joined = await Promise.all(
    joining.map(({ id, ...place }) =>
      joinDurably({
        ...place,
        file: newTierFile(id),
        addresses: [tier.of("c1").raft],
        version: "1",
        tls: null,
        passphrase,
        signal: t.signal,
      }),
    ),
  );

  assert.equal(new Set(joined.map((each) => each.joined.clusterId)).size, 1);
  assert.deepEqual((await rowsOf(tier)).map(({ id }) => id).sort(), ["c1", "c2", "c3", "c4"]);
});

test("a token lets one coordinator in, once: not one that was revoked, not a second time, not after its time", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML, size: 1 });
  await tier.settled();
  const create = async (id: string, ...more: string[]): Promise<string> => {
    const { code, out, err } = await tier.duckctl("tokens", "create", id, ...more);
    assert.equal(code, 0, err);
    return out.trim();
  };
  const member = await tier.prepare("c2");
  const attempt = async (token: string): Promise<string> => {
    const run = command(t, member, "join", tier.of("c1").raft, "--token", token);
    const code = await run.ended;
    return `${code}: ${run.text()}`;
  };

  const revoked = await create("c2");
  assert.match((await tier.duckctl("tokens", "revoke", revoked)).out, /^token [0-9a-f]{12} revoked\n$/);
  assert.match(await attempt(revoked), /^7: [\s\S]*The join token was revoked at 20.*tokens create/);
  const short = await create("c2", "--valid", "1s");
  await eventually("it expired", async () => /expired/.test((await tier.duckctl("tokens", "list")).out));
  assert.match(await attempt(short), /^7: [\s\S]*The join token expired at 20/);

  const good = await create("c2");
  assert.match(await attempt(good), /^0: /);
  // The same id on another disk, with the token of the first.
  await rm(join(member.folder, "data"), { recursive: true });
  assert.match(
    await attempt(good),
    /^7: [\s\S]*The join token was used already, by coordinator "c2" at 20.*it works once/,
  );
  const list = await tier.duckctl("tokens", "list", "-o", "json");
  const rows = JSON.parse(list.out) as { id: string; state: string }[];
  assert.deepEqual(
    rows.map(({ state }) => state),
    ["used", "expired", "revoked"],
  );
  const late = await tier.duckctl("tokens", "revoke", rows[0]?.id ?? "");
  assert.equal(late.code, 6);
  assert.match(late.err, /was used already, by coordinator "c2".*coordinators remove c2/);
  assert.equal((await tier.duckctl("tokens", "revoke", "nonsense")).code, 3);
});

test("a token comes from a file, from standard input or from the environment, where no other user sees it", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML, size: 1 });
  await tier.settled();
  const tokenFor = async (id: string): Promise<string> =>
    (await tier.duckctl("tokens", "create", id, "-o", "name")).out;
  const inFile = await tier.prepare("c2");
  const inEnvironment = await tier.prepare("c3");
  const file = join(tier.folder, "token");
  await writeFile(file, await tokenFor("c2"));
  const place = tier.of("c1").raft;

  // The file that is named counts, whatever the environment holds.
  const first = runProgram("duck-coordinator", ["join", place, "--token-file", file, "-c", inFile.file], {
    ...process.env,
    DUCK_JOIN_TOKEN: "another",
  });
  assert.equal(await first.ended, 0, first.text());
  const second = runProgram("duck-coordinator", ["join", place, "-c", inEnvironment.file], {
    ...process.env,
    DUCK_JOIN_TOKEN: (await tokenFor("c3")).trim(),
  });
  assert.equal(await second.ended, 0, second.text());

  const third = await tier.prepare("c4");
  const gone = command(t, third, "join", place, "--token-file", join(tier.folder, "gone"));
  assert.equal(await gone.ended, 2);
  assert.match(gone.text(), /Cannot read the join token from ".*gone": ENOENT/);
  const empty = command(t, third, "join", place, "--token-file", "-");
  assert.equal(await empty.ended, 2);
  assert.match(empty.text(), /standard input holds nothing\n.*duckctl tokens create/);
  const none = command(t, third, "join", place);
  assert.equal(await none.ended, 2);
  assert.match(none.text(), /--token-file or DUCK_JOIN_TOKEN/);
});

test("a member that lost its disk is refused by whoever it meets, also where its configuration names nobody", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  const wipe = async (member: TierProcess): Promise<void> => {
    await member.program().kill();
    await rm(join(member.folder, "data"), { recursive: true, maxRetries: 20 });
  };
  const waitForVoter = (id: string): Promise<unknown> =>
    eventually(
      `${id} votes`,
      async () => (await rowsOf(tier)).find((row) => row.id === id)?.role === "follower",
    );

  const third = tier.of("c3");
  await wipe(third);
  const known = third.launch();
  assert.equal(await known.ended, 6, known.text());
  assert.match(known.text(), /"c3" was a member of tier .* and has lost its data directory/);
  assert.match(known.text(), /coordinators remove c3; then give this one another id/);
  const again = await tier.duckctl("tokens", "create", "c3");
  assert.match(again.err, /Cannot add coordinator "c3": it is a member/);
  await eventually(
    "c3 is missing",
    async () => (await rowsOf(tier)).find(({ id }) => id === "c3")?.state === "missing",
  );

  // The way out, as it was told.
  assert.equal((await tier.duckctl("coordinators", "remove", "c3", "--yes")).code, 0);
  const token = (await tier.duckctl("tokens", "create", "c4", "-o", "name")).out.trim();
  const fourth = await tier.prepare("c4");
  const joined = command(t, fourth, "join", tier.of("c1").raft, "--token", token);
  assert.equal(await joined.ended, 0, joined.text());
  await fourth.start();
  await waitForVoter("c4");

  // Its configuration names nobody, so without more it would begin a tier of its own.
  await wipe(fourth);
  const alone = fourth.launch();
  assert.equal(await alone.ended, 6, alone.text());
  assert.match(alone.text(), /"c4" was a member of tier .*, says coordinator "c[12]", and has lost/);
  assert.match(alone.text(), /coordinators remove c4; then give this one another id and let it join/);
  assert.equal((await tier.duckctl("nodes", "add", "web", "10.0.0.9:80")).code, 0);
});

test("leadership goes where it is sent, and a coordinator that stood alone becomes the first of a tier", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML, size: 1, isStarted: false });
  const [first] = tier.members;
  assert.ok(first);
  const text = await readFile(first.file, "utf8");
  await writeFile(first.file, text.replace(/transports:[\s\S]*/, ""));
  await first.start();
  assert.equal((await tier.duckctl("nodes", "add", "web", "10.0.0.1:80")).code, 0);
  const refused = await tier.duckctl("coordinators", "add", "c2");
  assert.equal(refused.code, 6);
  assert.match(refused.err, /no address for others[\s\S]*transports/);
  first.program().signal("SIGTERM");
  await first.program().ended;

  await writeFile(first.file, text);
  await first.start();
  const added = await eventually("a token", async () => {
    const result = await tier.duckctl("coordinators", "add", "c2");
    return result.code === 0 && result;
  });
  const second = await tier.prepare("c2");
  const joined = command(
    t,
    second,
    "join",
    first.raft,
    "--token",
    /DUCK_JOIN_TOKEN=(\S+) duck-coordinator join /.exec(added.out)?.[1] ?? "",
  );
  assert.equal(await joined.ended, 0, joined.text());
  await second.start();
  await eventually("both vote", async () => {
    const rows = await rowsOf(tier);
    return rows.length === 2 && rows.every(({ role, state }) => role !== "learner" && state === "answers");
  });
  const sent = await eventually("leadership at c2", async () => {
    const result = await tier.duckctl("coordinators", "transfer-leader", "c2");
    return result.code === 0 && result.out;
  });
  assert.match(sent, /coordinator c2 leads/);
  assert.equal((await tier.ask("c2", "nodes", "list", "-o", "name")).out, "web/10.0.0.1:80\n");
});

test("without a majority nothing is decided and everybody is told why; recover-quorum begins again", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  assert.equal((await tier.duckctl("nodes", "add", "web", "10.0.0.1:80")).code, 0);
  await eventually("all have it", async () => {
    const answers = await Promise.all(
      tier.members.map(({ id }) => tier.ask(id, "nodes", "list", "-o", "name", "--stale")),
    );
    return answers.every(({ out }) => out.includes("10.0.0.1:80"));
  });
  await Promise.all([tier.of("c2").program().kill(), tier.of("c3").program().kill()]);

  const status = await eventually("the words", async () => {
    const { out } = await tier.ask("c1", "status");
    return /No leader in term \d+: c2 .*c3/.test(out) && out;
  });
  assert.match(status, /1 of 3 voting coordinators is there, 2 are needed\. Nothing is decided/);
  assert.match(status, /recover-quorum/);
  const write = await tier.ask("c1", "nodes", "add", "web", "10.0.0.2:80");
  assert.equal(write.code, 4);
  assert.match(write.err, /No leader in term \d+: .*2 are needed/);
  const stale = await tier.ask("c1", "nodes", "list", "-o", "name", "--stale");
  assert.equal(stale.out, "web/10.0.0.1:80\n");
  const ready = await fetch(`http://${tier.of("c1").http}/readyz`);
  assert.equal(ready.status, 503);
  assert.match(await ready.text(), /c2 .*has not answered since/);
  const metrics = await (await fetch(`http://${tier.of("c1").http}/metrics`)).text();
  assert.match(metrics, /clusterduck_raft_members_answering 1\n/);

  const first = tier.of("c1");
  first.program().signal("SIGTERM");
  await first.program().ended;
  const shown = command(t, first, "recover-quorum", join(tier.of("c2").folder, "data"));
  assert.equal(await shown.ended, 2, shown.text());
  assert.match(shown.text(), /nobody can be asked here|has more than/);
  const best = await eventually("one of them has the most", async () => {
    for (const id of ["c1", "c2", "c3"]) {
      const others = tier.members.filter((each) => each.id !== id).map(({ folder }) => join(folder, "data"));
      const run = command(t, tier.of(id), "recover-quorum", "--yes", ...others);
      if ((await run.ended) === 0) return tier.of(id);
      assert.match(run.text(), /has more than/);
    }
    return null;
  });
  await best.start();
  await eventually(
    "it decides again",
    async () => (await tier.ask(best.id, "nodes", "add", "web", "10.0.0.3:80")).code === 0,
  );
  const left = await tier.ask(best.id, "nodes", "list", "-o", "name");
  assert.match(left.out, /10\.0\.0\.1:80/);
});

test("a tier that lost every data directory goes on from a saved snapshot, on one, which others then join", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  assert.equal((await tier.duckctl("nodes", "add", "web", "10.0.0.1:80")).code, 0);
  assert.equal((await tier.duckctl("tokens", "create", "c9")).code, 0);
  const file = join(tier.folder, "saved.snapshot");
  const saved = await tier.duckctl("snapshot", "save", file);
  assert.equal(saved.code, 0, saved.err);
  assert.match(await readFile(file, "latin1"), /"joinSecret":""/);
  for (const member of tier.members) {
    await member.program().kill();
    await rm(join(member.folder, "data"), { recursive: true, maxRetries: 20 });
  }
  const first = tier.of("c1");

  const inspected = runProgram("duck-coordinator", ["snapshot", "verify", file]);
  assert.equal(await inspected.ended, 0, inspected.text());
  const restored = command(t, first, "snapshot", "restore", file);
  assert.equal(await restored.ended, 0, restored.text());
  await first.start();
  await eventually(
    "it decides alone",
    async () => (await tier.ask("c1", "nodes", "add", "web", "10.0.0.2:80", "--if-absent")).code === 0,
  );

  const nodes = await tier.ask("c1", "nodes", "list", "-o", "name");
  assert.equal(nodes.out, "web/10.0.0.1:80\nweb/10.0.0.2:80\n");
  const added = await tier.ask("c1", "coordinators", "add", "c4", "-o", "name");
  assert.equal(added.code, 0, added.err);
  const fourth = await tier.prepare("c4");
  const joined = command(t, fourth, "join", first.raft, "--token", added.out.trim());
  assert.equal(await joined.ended, 0, joined.text());
  await fourth.start();
  await eventually("both vote", async () => {
    const rows = await rowsOf(tier);
    return rows.length === 2 && rows.every(({ role }) => role !== "learner");
  });
});

function command(
  t: Parameters<typeof startCoordinatorTier>[0],
  member: TierProcess,
  ...args: readonly string[]
) {
  const run = runProgram("duck-coordinator", [...args, "-c", member.file]);
  atEnd(t, () => run.kill());
  return run;
}

async function toldRemoved(tier: CoordinatorTier, id: string): Promise<boolean> {
  const { out } = await tier.ask(id, "status");
  if (!/no leader.*not with .*Coordinator "c\d" was removed from this tier/s.test(out)) return false;
  assert.doesNotMatch(out, /recover-quorum/);
  return true;
}

async function clusterIdOf({ folder }: TierProcess): Promise<string> {
  const text = await readFile(join(folder, "data", "tier.json"), "utf8");
  return (JSON.parse(text) as { clusterId: string }).clusterId;
}

async function rowsOf(tier: CoordinatorTier): Promise<readonly Row[]> {
  const { out } = await tier.duckctl("coordinators", "list", "-o", "json");
  return JSON.parse(out || "[]") as Row[];
}
