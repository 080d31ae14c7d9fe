import assert from "node:assert/strict";
import { createServer as createTlsServer } from "node:tls";
import { test, type TestContext } from "node:test";
import type { Check } from "../../checks/check.js";
import { createTcpCheck } from "../../checks/tcp.js";
import type { JsonObject } from "../../common/config/model.js";
import { parseAddress } from "../../common/model/address.js";
import type { Observation } from "../../common/model/observation.js";
import { atEnd } from "../support/at-end.js";
import { createAuthority } from "../support/certificates.js";
import { makeCheck, runOnce, summary } from "../support/check-context.js";
import { startFakeServer, type FakeServer } from "../support/fake-server.js";
import { freePort } from "../support/free-port.js";
import { startRedis } from "../support/redis-server.js";
import { until } from "../support/until.js";

const TIMEOUT_MS = 400;

function check(t: TestContext, addr: string, options: JsonObject, onConnectionLost?: () => void): Check {
  return makeCheck(t, createTcpCheck, {
    type: "tcp",
    address: parseAddress(addr),
    options,
    timeoutMs: TIMEOUT_MS,
    onConnectionLost,
  });
}

const run = (made: Check): Promise<Observation> => runOnce(made, TIMEOUT_MS);

async function fake(
  t: TestContext,
  onConnection: Parameters<typeof startFakeServer>[0],
): Promise<FakeServer> {
  const server = await startFakeServer(onConnection);
  atEnd(t, () => server.stop());
  return server;
}

test("connect-only passes where something listens, by TCP and by unix socket, and is refused where nothing does", async (t) => {
  const redis = await startRedis();
  atEnd(t, () => redis.stop());

  assert.equal(summary(await run(check(t, redis.addr, {}))), "passed");
  assert.equal(summary(await run(check(t, `unix:${redis.socketPath}`, {}))), "passed");
  assert.equal(summary(await run(check(t, `127.0.0.1:${await freePort()}`, {}))), "failed/refused");
  assert.equal(summary(await run(check(t, "unix:/tmp/duck-no-such.sock", {}))), "failed/refused");
});

test("send and expect talk to a real Redis, also over a frozen one", async (t) => {
  const redis = await startRedis();
  atEnd(t, () => redis.stop());
  const made = check(t, redis.addr, { send: "PING\\r\\n", expect: "+PONG\\r\\n" });

  assert.equal(summary(await run(made)), "passed");
  assert.equal(
    summary(await run(check(t, redis.addr, { send: "PING\\r\\n", expect: { regex: "^-ERR" } }))),
    "failed/timedOut",
  );
  await redis.kill("SIGSTOP");
  assert.equal(summary(await run(made)), "failed/timedOut");
  assert.equal(summary(await run(check(t, redis.addr, {}))), "passed");
});

test("a flow goes through a greeting and a goodbye, in any packets", async (t) => {
  const mail = await fake(t, (socket) => {
    for (const [index, letter] of [..."220 mail ready\r\n"].entries())
      setTimeout(() => socket.write(letter), index * 2);
    socket.on("data", (chunk) =>
      socket.end(chunk.toString() === "QUIT\r\n" ? "221 bye\r\n" : "500 what\r\n"),
    );
  });
  const flow = [
    { expect: "220 " },
    { expect: "ready\\r\\n" },
    { send: "QUIT\\r\\n" },
    { expect: { regex: "^221" } },
  ];

  assert.equal(summary(await run(check(t, mail.addr, { flow }))), "passed");
  const seen = await run(
    check(t, mail.addr, { flow: [...flow.slice(0, 2), { send: "HELP\\r\\n" }, { expect: "221" }] }),
  );
  assert.equal(summary(seen), "failed/mismatch");
  assert.match(seen.outcome === "failed" ? seen.detail : "", /expected "221", received "500 what\\r\\n"/);
});

test("a service that hangs up unasked is closed, and one that answers without end is a mismatch", async (t) => {
  const rude = await fake(t, (socket) => socket.end());
  const endless = await fake(t, (socket) => {
    const block = Buffer.alloc(32 * 1024, "x");
    const pour = (): void => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.on("drain", pour);
    pour();
  });

  assert.equal(summary(await run(check(t, rude.addr, { expect: "hello" }))), "failed/closed");
  assert.equal(summary(await run(check(t, endless.addr, { expect: "hello" }))), "failed/mismatch");
});

test("a persistent check keeps one connection, tells of its loss, and replaces it within the run", async (t) => {
  const echo = await fake(t, (socket) => socket.on("data", (chunk) => socket.write(chunk)));
  let losses = 0;
  const made = check(t, echo.addr, { send: "hi", expect: "hi", persistent: true }, () => losses++);

  for (let index = 0; index < 5; index++) assert.equal(summary(await run(made)), "passed");
  assert.equal(echo.accepted(), 1);

  for (const socket of echo.sockets) socket.destroy();
  await until(() => losses === 1, "the loss was told");
  assert.equal(summary(await run(made)), "passed");
  assert.equal(echo.accepted(), 2);

  // Dropped at the very moment it is used again.
  for (const socket of echo.sockets) socket.destroy();
  assert.equal(summary(await run(made)), "passed");
  const both = await Promise.all([run(made), run(made)]);
  assert.deepEqual(both.map(summary), ["passed", "passed"]);
  await until(() => echo.sockets.size === 1, "one connection was kept");
});

test("without persistent every run connects anew and leaves nothing open", async (t) => {
  const echo = await fake(t, (socket) => socket.on("data", (chunk) => socket.write(chunk)));
  const made = check(t, echo.addr, { send: "hi", expect: "hi" });

  for (let index = 0; index < 3; index++) assert.equal(summary(await run(made)), "passed");

  assert.equal(echo.accepted(), 3);
  await until(() => echo.sockets.size === 0, "all connections were closed");
});

test("TLS is verified, warns of a certificate that ends soon, and can be told not to verify", async (t) => {
  const authority = createAuthority();
  atEnd(t, () => authority.remove());
  const { cert, key } = authority.issue(["DNS:duck.test", "IP:127.0.0.1"], { days: 5 });
  const server = createTlsServer({ cert, key }, (socket) => socket.on("error", () => undefined).end("hello"));
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  atEnd(t, () => server.close());
  const address = server.address();
  const addr = `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  const trusted = { ca_file: authority.caFile };

  const soon = await run(check(t, addr, { tls: trusted, expect: "hello" }));
  assert.equal(summary(soon), "passed");
  assert.match(soon.outcome === "passed" ? (soon.warnings ?? []).join() : "", /ends in [45] days/);
  const quiet = await run(check(t, addr, { tls: trusted, certificate_expiry_days: 3 }));
  assert.deepEqual([quiet.outcome, "warnings" in quiet], ["passed", false]);
  assert.equal(summary(await run(check(t, addr, { tls: true }))), "failed/tls");
  assert.equal(
    summary(await run(check(t, addr, { tls: { ...trusted, server_name: "other.test" } }))),
    "failed/tls",
  );
  assert.equal(
    summary(await run(check(t, addr, { tls: { ...trusted, server_name: "duck.test" } }))),
    "passed",
  );
  assert.equal(summary(await run(check(t, addr, { tls: { skip_verify: true } }))), "passed");
  assert.equal(
    summary(await run(check(t, addr, { tls: { ca_file: "/nowhere.pem" } }))),
    "inconclusive/internal",
  );
});

test("a run that is aborted settles at once and closes its connection", async (t) => {
  const silent = await fake(t, (socket) => socket.resume());
  const made = check(t, silent.addr, { send: "hi", expect: "hi" });

  const seen = await runOnce(made, 50);

  assert.equal(summary(seen), "failed/timedOut");
  assert.ok(seen.latencyMs < 300, `took ${seen.latencyMs} ms`);
  await until(() => silent.sockets.size === 0, "the connection was closed");
});
