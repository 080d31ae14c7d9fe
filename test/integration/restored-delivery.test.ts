/** Proxies refuse what is older than what they have; what a coordinator orders that began anew is not. */
import assert from "node:assert/strict";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { coordinatorYaml, startCoordinatorProgram, temporaryFolder } from "../support/coordinator-program.js";
import type { CoordinatorProgram } from "../support/coordinator-program.js";
import { eventually } from "../support/coordinator-tier.js";
import { runDuckctl } from "../support/duckctl.js";
import { runProgram } from "../support/program.js";

type Balancer = { readonly proxies: readonly { readonly state: string; readonly error: string }[] };

test("a proxy takes the orders of a coordinator that was restored after it had been started again several times, and its log is lost", async (t) => {
  const folder = temporaryFolder(t);
  const yaml = coordinatorYaml(`
clusters: {web: {type: tcp}}
balancers:
  edge: {type: haproxy, clusters: [web], mode: file, path: ${folder}/haproxy.cfg, program: /bin/true, bind: ["127.0.0.1:4444"], reload: none}`);
  const snapshot = join(folder, "saved.snapshot");
  let coordinator = await startCoordinatorProgram(t, yaml, folder);
  await serves(coordinator, "127.0.0.1:1");
  const saved = await duckctl(coordinator, "snapshot", "save", snapshot);
  assert.equal(saved.code, 0, saved.err);
  for (const at of [2, 3]) {
    await stop(coordinator);
    coordinator = await startCoordinatorProgram(t, yaml, folder);
    await serves(coordinator, `127.0.0.1:${at}`);
  }
  const { term } = await coordinator.control.getStatus({});
  await stop(coordinator);
  // Lost, and with it what terms there have been.
  const data = join(folder, "data");
  const log = (await readdir(data)).filter((name) => /\.(wal|snap)$/.test(name));
  await Promise.all(log.map((name) => rm(join(data, name))));

  await restore(coordinator, snapshot);
  coordinator = await startCoordinatorProgram(t, yaml, folder);

  await serves(coordinator, "127.0.0.1:9");
  assert.doesNotMatch(await readFile(join(folder, "haproxy.cfg"), "utf8"), /127\.0\.0\.1:3/);
  const restored = await coordinator.control.getStatus({});
  assert.ok(restored.term > term + 2n ** 19n, `${restored.term}`);
});

async function serves(coordinator: CoordinatorProgram, addr: string): Promise<void> {
  const added = await duckctl(coordinator, "nodes", "add", "web", addr);
  assert.equal(added.code, 0, added.err);
  await eventually(`the proxy has ${addr}`, async () => {
    const { out } = await duckctl(coordinator, "balancers", "list", "-o", "json");
    const proxy = (JSON.parse(out) as readonly Balancer[])[0]?.proxies[0];
    assert.doesNotMatch(proxy?.error ?? "", /was applied already/);
    if (proxy?.state !== "converged") return false;
    return (await readFile(join(coordinator.folder, "haproxy.cfg"), "utf8")).includes(addr);
  });
}

function duckctl({ grpc }: CoordinatorProgram, ...args: readonly string[]): ReturnType<typeof runDuckctl> {
  return runDuckctl(args, { env: { DUCK_SERVER: grpc } });
}

async function stop({ program }: CoordinatorProgram): Promise<void> {
  program.signal("SIGTERM");
  assert.equal(await program.ended, 0, program.text());
}

async function restore({ file }: CoordinatorProgram, snapshot: string): Promise<void> {
  const run = runProgram("duck-coordinator", ["snapshot", "restore", snapshot, "-c", file]);
  assert.equal(await run.ended, 0, run.text());
}
