/** A tier of three real coordinators with an agent, Redis and HAProxy, and what becomes of it when its leader goes. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import { atEnd } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier } from "../support/coordinator-tier.js";
import { freePort } from "../support/free-port.js";
import { startHaproxy } from "../support/haproxy.js";
import { runProgram } from "../support/program.js";
import { startRedis } from "../support/redis-server.js";

type Listed = { readonly cluster: string; readonly addr: string; readonly state: string };
type Told = {
  readonly index: string;
  readonly type: string;
  readonly addr: string;
  readonly message: string;
};

test("the leader dies with a Redis: one cut, one run of the trigger, one delivery, and nothing again when it returns", async (t) => {
  const [first, second] = await Promise.all([startRedis(), startRedis()]);
  atEnd(t, () => Promise.all([first.stop(), second.stop()]));
  const front = await freePort();
  const tier = await startCoordinatorTier(t, {
    yaml: `clusters:
  cache:
    type: redis
    nodes: ["${first.addr}", "${second.addr}"]
    health_checks: [{type: basic, every: 500ms, commands: [[PING]]}]
    policy: {removal_budget: 100%}
    triggers:
      - {name: list, on: [active], do: [{type: shell, cwd: FOLDER, commands: ["echo $nodes_active_addrs >> runs.txt"]}]}
balancers:
  cache-proxy: {type: haproxy, clusters: [cache], deliver: agents, mode: file, bind: ["127.0.0.1:${front}"]}`,
  });
  await startAgent(t, tier);
  const haproxy = await startHaproxy({
    files: [await waitForFile(join(tier.folder, "haproxy.cfg"))],
    masterSocket: join(tier.folder, "m.sock"),
  });
  atEnd(t, () => haproxy.stop());
  await eventually("both Redis healthy", async () => {
    const nodes = await nodesOf(tier);
    return nodes.length === 2 && nodes.every(({ state }) => state === "healthy");
  });
  await eventually("HAProxy converged", () => isConverged(tier));
  const before = (await eventsOf(tier)).at(-1)?.index ?? "0";
  const runsBefore = await linesOf(join(tier.folder, "runs.txt"));

  const leader = await tier.leader();
  const killedAtMs = performance.now();
  await Promise.all([leader.program().kill(), second.kill("SIGKILL")]);
  await eventually("the cut", async () => (await nodesOf(tier)).some(({ state }) => state === "down"));
  t.diagnostic(`leader and Redis killed to cut seen: ${Math.round(performance.now() - killedAtMs)} ms`);
  await eventually("HAProxy converged again", () => isConverged(tier));
  await eventually(
    "the run",
    async () => (await linesOf(join(tier.folder, "runs.txt"))).length > runsBefore.length,
  );
  await leader.start();
  await eventually("all three answer", () => allAnswer(tier, 3));
  // Whatever would be done twice is done when the old leader has caught up.
  await delay(3_000);

  const since = (await eventsOf(tier)).filter(({ index }) => Number(index) > Number(before));
  const cuts = since.filter(
    ({ type, addr, message }) => type === "state" && addr === second.addr && /down/.test(message),
  );
  assert.equal(cuts.length, 1, JSON.stringify(cuts));
  assert.match(cuts[0]?.message ?? "", /→ down/);
  // A busy machine may doubt itself for a while: nothing is known then, and the traffic stays as it is.
  const others = since.filter(({ type, message }) => type === "state" && !/unknown/.test(message));
  assert.equal(others.length, 1, `no other node changed: ${JSON.stringify(others)}`);
  assert.equal(since.filter(({ type }) => type === "delivery.converged").length, 1);
  assert.deepEqual(
    since.filter(({ type }) => type === "delivery.failed"),
    [],
  );
  const runs = await linesOf(join(tier.folder, "runs.txt"));
  assert.deepEqual(runs.slice(runsBefore.length), [`["${first.addr}"]`]);
  const config = await readFile(join(tier.folder, "haproxy.cfg"), "utf8");
  const servers = config.split("\n").filter((line) => /^\s+server /.test(line) && !/ disabled/.test(line));
  assert.equal(servers.length, 1, config);
});

test("a leader that stands still is followed by another, and steps down when it wakes", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: "clusters: {web: {type: tcp}}" });
  await tier.settled();
  const leader = await tier.leader();
  const others = tier.members.map(({ id }) => id).filter((id) => id !== leader.id);

  leader.program().signal("SIGSTOP");
  const stoppedAtMs = performance.now();
  const written = await eventually("a write through another", async () => {
    const { code, err } = await tier.ask(others[0] ?? "", "nodes", "add", "web", "10.0.0.1:80");
    return code === 0 || /already/.test(err);
  });
  t.diagnostic(`SIGSTOP to an accepted write: ${Math.round(performance.now() - stoppedAtMs)} ms`);
  assert.equal(written, true);
  const successor = await tier.leader(others);
  leader.program().signal("SIGCONT");

  await eventually("the old one follows", async () => {
    const { out } = await tier.ask(leader.id, "coordinators", "list", "-o", "json");
    const rows = JSON.parse(out || "[]") as { id: string; role: string; state: string }[];
    return rows.find(({ id }) => id === leader.id)?.role === "follower" && rows.length === 3;
  });
  const nodes = await tier.ask(leader.id, "nodes", "list", "web", "-o", "name");
  assert.equal(nodes.out, "web/10.0.0.1:80\n");
  assert.notEqual(successor.id, leader.id);
});

test("a rolling restart, and then a kill -9 of each leader, loses no acknowledged write", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: "clusters: {web: {type: tcp}}" });
  await tier.settled();
  const writer = startWriter(tier);
  atEnd(t, () => writer.stop());
  await eventually("the first writes", async () => writer.acknowledged.size >= 5);

  for (const member of tier.members) {
    const before = writer.acknowledged.size;
    member.program().signal("SIGTERM");
    assert.equal(await member.program().ended, 0);
    await member.start();
    await eventually("writes go on", async () => writer.acknowledged.size >= before + 3);
    await eventually("all three answer", () => allAnswer(tier, 3));
  }
  const handedOver = tier.members.flatMap((each) => each.program().events).length;
  assert.ok(handedOver > 0);
  for (let round = 0; round < 3; round++) {
    const leader = await tier.leader();
    await leader.program().kill();
    const before = writer.acknowledged.size;
    await eventually("writes go on without it", async () => writer.acknowledged.size >= before + 3);
    await leader.start();
    await eventually("all three answer", () => allAnswer(tier, 3));
  }
  await writer.stop();

  t.diagnostic(
    `${writer.acknowledged.size} writes acknowledged, ${writer.failed()} not, longest gap ${writer.longestGapMs()} ms`,
  );
  for (const { id } of tier.members) {
    const { out } = await tier.ask(id, "nodes", "list", "web", "-o", "name");
    const there = new Set(out.split("\n"));
    const lost = [...writer.acknowledged].filter((addr) => !there.has(`web/${addr}`));
    assert.deepEqual(lost, [], `${id} lacks what was acknowledged`);
  }
});

function startWriter(tier: CoordinatorTier) {
  const acknowledged = new Set<string>();
  let isStopped = false;
  let failed = 0;
  let lastMs = performance.now();
  let longestMs = 0;
  const work = (async () => {
    for (let at = 0; !isStopped; at++) {
      const addr = `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}:80`;
      const { code } = await tier.duckctl("nodes", "add", "web", addr);
      if (code === 0) {
        acknowledged.add(addr);
        longestMs = Math.max(longestMs, performance.now() - lastMs);
        lastMs = performance.now();
      } else failed++;
      await delay(20);
    }
  })();
  return {
    acknowledged,
    failed: () => failed,
    longestGapMs: () => Math.round(longestMs),
    stop: async () => {
      isStopped = true;
      await work;
    },
  };
}

async function startAgent(
  t: Parameters<typeof startCoordinatorTier>[0],
  tier: CoordinatorTier,
): Promise<void> {
  const file = join(tier.folder, "agent.yaml");
  // It knows one coordinator, and is told of the others.
  await writeFile(
    file,
    `agent:
  id: a1
  state_dir: agent
  coordinators: ["${tier.members[0]?.grpc ?? ""}"]
  proxies: {cache-proxy: {path: haproxy.cfg, reload: {master: m.sock}}}
`,
  );
  const program = runProgram("duck-agent", ["-c", file]);
  atEnd(t, () => program.kill());
  await eventually("streams to all coordinators", async () => {
    const connected = program.events.filter(({ event }) => event === "stream.connected");
    return new Set(connected.map((line) => line["id"])).size === tier.members.length;
  });
}

async function waitForFile(path: string): Promise<string> {
  await eventually(path, async () =>
    readFile(path, "utf8").then(
      (text) => text.includes("server "),
      () => false,
    ),
  );
  return path;
}

async function allAnswer(tier: CoordinatorTier, count: number): Promise<boolean> {
  const { out } = await tier.duckctl("coordinators", "list", "-o", "json");
  const rows = JSON.parse(out || "[]") as { state: string }[];
  return rows.length === count && rows.every(({ state }) => state === "answers");
}

async function nodesOf(tier: CoordinatorTier): Promise<readonly Listed[]> {
  const { out } = await tier.duckctl("nodes", "list", "-o", "json");
  return JSON.parse(out || "[]") as Listed[];
}

async function isConverged(tier: CoordinatorTier): Promise<boolean> {
  const { out } = await tier.duckctl("balancers", "list", "-o", "json");
  const [balancer] = JSON.parse(out || "[]") as { proxies: { state: string }[] }[];
  return balancer?.proxies.length === 1 && balancer.proxies[0]?.state === "converged";
}

async function eventsOf(tier: CoordinatorTier): Promise<readonly Told[]> {
  const { out } = await tier.duckctl("events", "-o", "json");
  const lines = out.trim();
  if (lines === "") return [];
  return lines.startsWith("[")
    ? (JSON.parse(lines) as Told[])
    : lines.split("\n").map((line) => JSON.parse(line) as Told);
}

async function linesOf(path: string): Promise<readonly string[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.split("\n").filter((line) => line !== "");
}
