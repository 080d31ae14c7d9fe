import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";

import { createMetrics } from "../../coordinator/http/metrics.js";
import type { ControlContext } from "../../coordinator/api/context.js";
import { startHttpServer } from "../../coordinator/http/server.js";
import { emptyState } from "../../coordinator/state/state.js";
import { parseExposition } from "../support/exposition.js";
import type { Family } from "../support/exposition.js";
import { startTestTier } from "../support/test-tier.js";
import type { TestTier } from "../support/test-tier.js";

let tier: TestTier;

before(async () => {
  tier = await startTestTier({
    withAgent: true,
    yaml: `
clusters:
  web:
    type: tcp
    pass_without_checks: true
    nodes: ["10.0.0.1:80", "unix:/run/a.sock"]
    triggers:
      - {name: note, on: [active], do: [{type: shell, commands: ["true"]}]}
    balancers:
      - {type: haproxy, name: edge, mode: file, path: FOLDER/haproxy.cfg, program: /bin/true, bind: "127.0.0.1:1", reload: none}
`,
  });
  await tier.duckctl("nodes", "disable", "web", "10.0.0.1:80");
  await tier.eventually(
    ["triggers", "runs", "-o", "json"],
    ({ out }) => (JSON.parse(out) as { outcome: string }[])[0]?.outcome === "succeeded",
  );
});

after(() => tier.stop());

const get = (path: string): Promise<Response> => fetch(`http://${tier.coordinator.httpAddress ?? ""}${path}`);

async function scrape(): Promise<ReadonlyMap<string, Family>> {
  return parseExposition(await (await get("/metrics")).text());
}

function valueOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Record<string, string>,
): number {
  const wanted = Object.entries(labels);
  const found = (families.get(name)?.samples ?? []).filter((sample) =>
    wanted.every(([label, value]) => sample.labels[label] === value),
  );
  assert.equal(found.length, 1, `${name} ${JSON.stringify(labels)}`);
  return found[0]?.value ?? Number.NaN;
}

test("livez says ok while the process runs", async () => {
  const response = await get("/livez");

  assert.deepEqual([response.status, await response.text()], [200, "ok\n"]);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain/);
});

test("readyz says ok, and why when asked", async () => {
  const plain = await get("/readyz");
  const verbose = await get("/readyz?verbose");

  assert.deepEqual([plain.status, await plain.text()], [200, "ok\n"]);
  assert.match(
    await verbose.text(),
    /^\[\+\]leader: c1 in term \d+\n\[\+\]log: applied \d+ of \d+\n\[\+\]config: revision \d+\nok\n$/,
  );
});

test("readyz is 503 with the reason when there is no leader and no configuration", async (t) => {
  const context = contextWithoutLeader();
  const server = await startHttpServer({ host: "127.0.0.1", port: 0 }, context, createMetrics(context));
  t.after(() => server.close());

  const response = await fetch(`http://${server.address}/readyz`);

  assert.equal(response.status, 503);
  assert.equal(
    await response.text(),
    "[-]leader: none is known in term 3\n[-]log: applied 0 of 5\n[-]config: none yet\nnot ready\n",
  );
});

test("nothing else is there, and nothing changes by another method", async () => {
  assert.equal((await get("/nothing")).status, 404);
  const post = await fetch(`http://${tier.coordinator.httpAddress ?? ""}/livez`, { method: "POST" });
  assert.ok(post.status >= 400);
});

test("metrics can be read by a scraper, and every name has our prefix, a unit or _total, and a help text", async () => {
  const response = await get("/metrics");
  const families = parseExposition(await response.text());

  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  for (const [name, { type, help }] of families) {
    assert.match(name, /^clusterduck_[a-z0-9_]+$/);
    assert.notEqual(help, "", name);
    if (type === "counter") assert.match(name, /_total$/);
    assert.ok(!/_(ms|milliseconds|minutes)$/.test(name), name);
  }
});

test("metrics follow the state", async () => {
  const families = await scrape();

  assert.equal(valueOf(families, "clusterduck_nodes", { cluster: "web", state: "healthy" }), 2);
  assert.equal(valueOf(families, "clusterduck_nodes", { cluster: "web", state: "down" }), 0);
  assert.equal(valueOf(families, "clusterduck_nodes_active", { cluster: "web" }), 1);
  assert.equal(
    valueOf(families, "clusterduck_node_state", { node: "unix:/run/a.sock", state: "healthy" }),
    1,
  );
  assert.equal(
    valueOf(families, "clusterduck_maintenance_active", { cluster: "web", overlay: "disabled" }),
    1,
  );
  assert.equal(valueOf(families, "clusterduck_raft_has_leader", {}), 1);
  assert.ok(
    valueOf(families, "clusterduck_trigger_runs_total", { trigger: "note", outcome: "succeeded" }) >= 1,
  );
  assert.ok(valueOf(families, "clusterduck_agent_heartbeat_age_seconds", { agent: "a1" }) < 60);
  assert.equal(valueOf(families, "clusterduck_config_last_reload_successful", {}), 1);
});

test("a refused file shows in the metrics until one is taken", async () => {
  tier.coordinator.reloadFailed();

  assert.equal(valueOf(await scrape(), "clusterduck_config_last_reload_successful", {}), 0);
});

test("an address that is taken is refused with the setting that helps", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const context = contextWithoutLeader();

  await assert.rejects(startHttpServer({ host: "127.0.0.1", port }, context, createMetrics(context)), {
    code: "LISTEN_FAILED",
    message: `Cannot listen on 127.0.0.1:${port} (HTTP): the address is in use`,
    hint: "set another port with `coordinator: {http: HOST:PORT}`",
  });
  taken.close();
});

/** What the HTTP side reads of a coordinator that has just started and has found nobody. */
function contextWithoutLeader(): ControlContext {
  const state = emptyState();
  const context: Partial<ControlContext> = {
    coordinatorId: "c1",
    version: "1",
    log: {
      leadership: () => ({ leaderId: null, isLeader: false, term: 3 }),
      members: () => ["c1"],
      status: () => ({ commitIndex: 5, lastIndex: 5, firstIndex: 1, bytes: 0, peers: [] }),
    },
    replica: { state, onApplied: () => () => undefined } as unknown as ControlContext["replica"],
    fleet: { sessions: () => [] } as unknown as ControlContext["fleet"],
    balancers: { balancers: () => [] },
    tier: {
      members: () => [],
      missingWords: () => "",
      noLeaderWords: () => ({ message: "none is known in term 3", hint: "" }),
    } as unknown as ControlContext["tier"],
  };
  return context as ControlContext;
}
