/** The clock of a coordinator's host is set, forward and back, while it runs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { temporaryFolder } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier } from "../support/coordinator-tier.js";
import { freePort } from "../support/free-port.js";
import { shiftedClock } from "../support/shifted-clock.js";
import type { ShiftedClock } from "../support/shifted-clock.js";
import { startWebServer } from "../support/web-server.js";
import type { WebServer } from "../support/web-server.js";

const DAY_MS = 86_400_000;
const IDS = ["c1", "c2", "c3"];

type Listed = { readonly addr: string; readonly state: string; readonly overlay?: string };

test("a day forward and two days back: the same leader, and nothing is decided early or late", async (t) => {
  const { tier, clocks, servers, dead } = await startShiftable(t);
  const leader = await tier.leader();
  const before = await termOf(tier);

  for (const [at, shiftMs] of [DAY_MS, -DAY_MS, 0].entries()) {
    await clockOf(clocks, leader.id).set(leader.program(), shiftMs);
    await tellAll(tier, "nodes", "add", "quiet", `10.0.0.${at + 2}:80`);

    await endsInTime(tier, `quiet/10.0.0.${at + 2}:80`);
    const server = servers[at];
    if (server !== undefined) await isNoticed(tier, server);
    await promisesHold(tier, dead);
  }

  assert.equal((await tier.leader()).id, leader.id);
  assert.equal(await termOf(tier), before);
});

test("whoever takes over with a clock that was set a day forward keeps what was promised", async (t) => {
  const { tier, clocks, dead } = await startShiftable(t);
  const leader = await tier.leader();
  const next = IDS.find((id) => id !== leader.id) ?? "";
  await clockOf(clocks, next).set(tier.of(next).program(), DAY_MS);

  await eventually("leadership moves", async () => {
    const { code } = await tier.duckctl("coordinators", "transfer-leader", next);
    return code === 0;
  });
  await tellAll(tier, "nodes", "add", "quiet", "10.0.0.2:80");

  await endsInTime(tier, "quiet/10.0.0.2:80");
  await promisesHold(tier, dead);
});

/** With a node under maintenance for an hour, and one that is down and would be removed after an hour. */
async function startShiftable(t: Parameters<typeof startCoordinatorTier>[0]) {
  const servers = await Promise.all([startWebServer(), startWebServer()]);
  t.after(() => Promise.all(servers.map((server) => server.stop())));
  const folder = await temporaryFolder(t);
  const clocks = new Map(IDS.map((id) => [id, shiftedClock(join(folder, id))]));
  const dead = `127.0.0.1:${await freePort()}`;
  const tier = await startCoordinatorTier(t, {
    yaml: `clusters:
  web:
    type: http
    nodes: ${JSON.stringify(servers.map(({ addr }) => addr))}
    health_checks: [{type: http, every: 500ms}]
    policy: {removal_budget: 100%}
  gone:
    type: tcp
    nodes: ["${dead}"]
    health_checks: [{type: tcp, every: 500ms}]
    purge_unavailable: 1h
    policy: {removal_budget: 100%}
  quiet: {type: tcp, nodes: ["10.0.0.1:80"]}`,
    env: (id) => ({ ...process.env, ...clockOf(clocks, id).env }),
  });
  await tier.settled();
  await eventually("all are known", async () => {
    const web = await nodesOf(tier, "web");
    const [gone] = await nodesOf(tier, "gone");
    return web.every(({ state }) => state === "healthy") && gone?.state === "down";
  });
  await tellAll(tier, "nodes", "maintenance", "quiet/10.0.0.1:80", "--for", "1h", "--yes");
  return { tier, clocks, servers, dead };
}

/** An overlay for some seconds lasts about as long. */
async function endsInTime(tier: CoordinatorTier, node: string): Promise<void> {
  await tellAll(tier, "nodes", "maintenance", node, "--for", "3s", "--yes");
  const begunMs = performance.now();
  const addr = node.split("/")[1];
  const overlay = async (): Promise<string> =>
    (await nodesOf(tier, "quiet")).find((each) => each.addr === addr)?.overlay ?? "";
  assert.equal(await overlay(), "maintenance");

  await eventually(`the end of the maintenance of ${node}`, async () => (await overlay()) === "");

  const lastedMs = performance.now() - begunMs;
  assert.ok(lastedMs > 2_000, `it ended after ${lastedMs} ms`);
  assert.ok(lastedMs < 20_000, `it ended only after ${lastedMs} ms`);
}

async function isNoticed(tier: CoordinatorTier, server: WebServer): Promise<void> {
  await server.stop();
  await eventually(`${server.addr} down`, async () =>
    (await nodesOf(tier, "web")).some(({ addr, state }) => addr === server.addr && state === "down"),
  );
}

async function promisesHold(tier: CoordinatorTier, dead: string): Promise<void> {
  const quiet = await nodesOf(tier, "quiet");
  assert.equal(quiet.find(({ addr }) => addr === "10.0.0.1:80")?.overlay, "maintenance");
  assert.deepEqual(
    (await nodesOf(tier, "gone")).map(({ addr }) => addr),
    [dead],
  );
}

async function tellAll(tier: CoordinatorTier, ...args: readonly string[]): Promise<void> {
  const { code, err } = await tier.duckctl(...args);
  assert.equal(code, 0, err);
}

async function nodesOf(tier: CoordinatorTier, cluster: string): Promise<readonly Listed[]> {
  const { out } = await tier.duckctl("nodes", "list", cluster, "-o", "json");
  return JSON.parse(out || "[]") as Listed[];
}

async function termOf(tier: CoordinatorTier): Promise<string> {
  const { out } = await tier.duckctl("status", "-o", "json");
  return String((JSON.parse(out) as { readonly term: unknown }).term);
}

function clockOf(clocks: ReadonlyMap<string, ShiftedClock>, id: string): ShiftedClock {
  const found = clocks.get(id);
  if (found === undefined) throw new Error(`no coordinator ${id}`);
  return found;
}
