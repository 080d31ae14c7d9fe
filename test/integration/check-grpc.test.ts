import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { Check } from "../../checks/check.js";
import { createGrpcCheck } from "../../checks/grpc.js";
import type { JsonObject } from "../../common/config/model.js";
import { parseAddress } from "../../common/model/address.js";
import type { Observation } from "../../common/model/observation.js";
import { atEnd } from "../support/at-end.js";
import { createAuthority } from "../support/certificates.js";
import { makeCheck, runOnce, summary } from "../support/check-context.js";
import { startFakeServer } from "../support/fake-server.js";
import { freePort } from "../support/free-port.js";

const TIMEOUT_MS = 500;

function check(t: TestContext, port: number, options: JsonObject = {}, onConnectionLost?: () => void): Check {
  return makeCheck(t, createGrpcCheck, {
    type: "grpc",
    address: parseAddress(`127.0.0.1:${port}`),
    options,
    timeoutMs: TIMEOUT_MS,
    onConnectionLost,
  });
}

const run = (made: Check): Promise<Observation> => runOnce(made, TIMEOUT_MS);

type Serving = { readonly port: number; readonly health: HealthImplementation; readonly server: Server };

async function serve(
  t: TestContext,
  options: { port?: number; credentials?: ServerCredentials } = {},
): Promise<Serving> {
  const server = new Server();
  const health = new HealthImplementation({ "": "SERVING", ready: "SERVING" });
  health.addToServer(server);
  const port = await listen(
    server,
    options.port ?? 0,
    options.credentials ?? ServerCredentials.createInsecure(),
  );
  atEnd(t, () => server.forceShutdown());
  return { port, health, server };
}

function listen(server: Server, port: number, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}

test("the health service decides, for the server and for one service", async (t) => {
  const { port, health } = await serve(t);
  const whole = check(t, port);
  const one = check(t, port, { service: "ready" });

  assert.equal(summary(await run(whole)), "passed");
  assert.equal(summary(await run(one)), "passed");
  health.setStatus("ready", "NOT_SERVING");
  assert.equal(summary(await run(one)), "failed/notServing");
  assert.equal(summary(await run(whole)), "passed");
  assert.equal(summary(await run(check(t, port, { service: "nobody" }))), "failed/notServing");
});

test("refused is refused, and a server that returns is seen in the very next run", async (t) => {
  const port = await freePort();
  const made = check(t, port);
  for (let index = 0; index < 5; index++) assert.equal(summary(await run(made)), "failed/refused");

  const { server } = await serve(t, { port });
  assert.equal(summary(await run(made)), "passed");

  server.forceShutdown();
  assert.match(summary(await run(made)), /^failed\/(refused|closed|reset)$/);
  assert.equal(summary(await run(made)), "failed/refused");
});

test("a lost idle connection is told", async (t) => {
  const { port, server } = await serve(t);
  let losses = 0;
  const made = check(t, port, {}, () => losses++);
  assert.equal(summary(await run(made)), "passed");

  server.forceShutdown();

  const deadline = performance.now() + 5_000;
  while (losses === 0 && performance.now() < deadline) await delay(5);
  assert.equal(losses, 1);
});

test("a server without the health service is inconclusive and says what to do", async (t) => {
  const server = new Server();
  const port = await listen(server, 0, ServerCredentials.createInsecure());
  atEnd(t, () => server.forceShutdown());

  const seen = await run(check(t, port));

  assert.equal(summary(seen), "inconclusive/protocol");
  assert.match(seen.outcome === "passed" ? "" : seen.detail, /add that service/);
});

test("a silent server times out, and overlapping runs each settle", async (t) => {
  const silent = await startFakeServer((socket) => socket.resume());
  atEnd(t, () => silent.stop());
  const made = check(t, silent.port);

  const seen = await Promise.all([run(made), run(made)]);

  assert.deepEqual(seen.map(summary), ["failed/timedOut", "failed/timedOut"]);
});

test("an HTTP/1 server does not pass for a gRPC server", async (t) => {
  const http = createServer((_request, response) => response.end("hello"));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  atEnd(t, () => {
    http.closeAllConnections();
    http.close();
  });
  const address = http.address();

  const seen = await run(check(t, typeof address === "object" && address !== null ? address.port : 0));

  assert.equal(seen.outcome, "failed");
});

test("metadata and authority reach the server", async (t) => {
  const server = new Server();
  const heard: Record<string, unknown> = {};
  server.register(
    "/grpc.health.v1.Health/Check",
    (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
      heard.token = call.metadata.get("authorization")[0];
      heard.host = call.getHost();
      callback(null, Buffer.from([0x08, 0x01]));
    },
    (value: Buffer) => value,
    (value: Buffer) => value,
    "unary",
  );
  const port = await listen(server, 0, ServerCredentials.createInsecure());
  atEnd(t, () => server.forceShutdown());
  const made = check(t, port, { metadata: { authorization: "Bearer abc" }, authority: "duck.test" });

  assert.equal(summary(await run(made)), "passed");
  assert.deepEqual(heard, { token: "Bearer abc", host: "duck.test" });
});

test("TLS is verified", async (t) => {
  const authority = createAuthority();
  atEnd(t, () => authority.remove());
  const { cert, key } = authority.issue(["DNS:duck.test", "IP:127.0.0.1"]);
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  const { port } = await serve(t, { credentials: ServerCredentials.createSsl(null, [pair]) });
  const trusted = { ca_file: authority.caFile };

  assert.equal(summary(await run(check(t, port, { tls: trusted }))), "passed");
  assert.equal(
    summary(await run(check(t, port, { tls: { ...trusted, server_name: "duck.test" } }))),
    "passed",
  );
  assert.equal(summary(await run(check(t, port, { tls: { skip_verify: true } }))), "passed");
  assert.equal(summary(await run(check(t, port, { tls: true }))), "failed/tls");
  assert.equal(
    summary(await run(check(t, port, { tls: { ...trusted, server_name: "other.test" } }))),
    "failed/tls",
  );
});
