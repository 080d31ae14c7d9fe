/** From a committed cut to a real HAProxy: how soon traffic leaves a dead node, and what the ledger says. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { haproxyApplierFactory } from "../../appliers/haproxy/applier.js";
import { systemClock } from "../../common/clock.js";
import type { HaproxyConfig } from "../../common/config/model.js";
import { createLogger } from "../../common/logger.js";
import { startDelivery, type Delivery } from "../../coordinator/delivery/start.js";
import type { NodeState } from "../../common/model/node.js";
import { atEnd, temporaryFolder } from "../support/at-end.js";
import { fakeReplica, nodeRecord, type FakeReplica } from "../support/fake-replica.js";
import { freePort } from "../support/free-port.js";
import { startHaproxy } from "../support/haproxy.js";
import { haproxyConfig, proxyTarget } from "../support/haproxy-views.js";
import { startWebServer } from "../support/web-server.js";

test("a down cut reaches HAProxy within 400 ms, without a reload, ten times over", async (t) => {
  const webs = await Promise.all([startWebServer(), startWebServer()]);
  atEnd(t, () => Promise.all(webs.map((web) => web.stop())));
  const [first, second] = webs;
  const { replica, delivery } = await deliver(t, {}, [first.addr, second.addr]);

  const times: number[] = [];
  for (let round = 0; round < 10; round++) {
    times.push(await timeOf(replica, delivery, first.addr, round % 2 === 0 ? "down" : "healthy"));
    assert.equal(delivery.balancers()[0]?.proxies[0]?.method, "runtime");
  }

  times.sort((a, b) => a - b);
  const median = times[5] ?? 0;
  t.diagnostic(`cut to converged: median ${median.toFixed(0)} ms, worst ${times.at(-1)?.toFixed(0)} ms`);
  assert.ok(median < 400, `median ${median} ms`);
});

test("a client of a Redis-like service leaves a node with the cut", async (t) => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.write("hello");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const { replica, delivery, port: front } = await deliver(t, { protocol: "tcp" }, [`127.0.0.1:${port}`]);
  const client = connect(front, "127.0.0.1");
  await once(client, "data");

  const closed = once(client, "close");
  await timeOf(replica, delivery, `127.0.0.1:${port}`, "down");
  await closed;
});

test("a file edited by hand is put right, and the ledger told so", async (t) => {
  const web = await startWebServer();
  atEnd(t, () => web.stop());
  const { replica, delivery, path } = await deliver(t, {}, [web.addr], 20);
  const right = await readFile(path, "utf8");

  await writeFile(path, right.replace("retries 3", "retries 4"));
  await until(() =>
    replica.proposed.some(
      (each) => each.type === "recordDelivery" && each.delivery.error.includes("differs"),
    ),
  );
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "converged");

  assert.equal(await readFile(path, "utf8"), right);
});

async function deliver(
  t: TestContext,
  changes: Partial<HaproxyConfig>,
  addrs: readonly string[],
  observeEveryMs = 60_000,
): Promise<{ replica: FakeReplica; delivery: Delivery; port: number; path: string }> {
  const dir = await temporaryFolder(t, "duck-hd-");
  const port = await freePort();
  const path = join(dir, "haproxy.cfg");
  const masterSocket = join(dir, "m.sock");
  const target = proxyTarget({ path, reload: { kind: "master", socket: masterSocket } });
  const frontends = { web: { bind: [`127.0.0.1:${port}`], options: [] } };
  const replica = fakeReplica(
    [haproxyConfig({ target, frontends, ...changes })],
    addrs.map((addr) => nodeRecord("web", addr)),
  );
  const delivery = startDelivery({
    replica,
    fleet: { sessions: () => [], apply: () => false, listen: () => () => undefined },
    log: {
      leadership: () => ({ leaderId: "c1", term: 1, isLeader: true }),
      onLeadership: () => () => undefined,
    },
    clock: systemClock,
    logger: createLogger({ program: "test", write: () => undefined }),
    createApplier: haproxyApplierFactory({ stateDir: join(dir, "state"), clock: systemClock }),
    observeEveryMs,
  });
  atEnd(t, () => delivery.close());
  // HAProxy is not there yet: its file is, and the retry finds it running.
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "failed");
  const haproxy = await startHaproxy({ files: [path], masterSocket });
  atEnd(t, () => haproxy.stop());
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "converged");
  return { replica, delivery, port, path };
}

async function timeOf(
  replica: FakeReplica,
  delivery: Delivery,
  addr: string,
  state: NodeState,
): Promise<number> {
  const startedMs = performance.now();
  replica.nodes.set(`web/${addr}`, nodeRecord("web", addr, { state }));
  const node = { cluster: "web", addr };
  replica.entry({
    type: "cut",
    transitions: [
      { node, epoch: 1, from: "unknown", to: state, cause: "test", isConclusive: true, ballots: [] },
    ],
  });
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "converged");
  return performance.now() - startedMs;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "not within 15 s");
    await systemClock.sleep(1);
  }
}
