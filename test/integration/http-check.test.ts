import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer as createHttp2Server, createSecureServer } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { createServer as createTcpServer } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { createHttpCheck } from "../../checks/http/http.js";
import type { Check } from "../../checks/check.js";
import type { JsonObject } from "../../common/config/model.js";
import type { Address } from "../../common/model/address.js";
import { temporaryFolder } from "../support/at-end.js";
import { createAuthority } from "../support/certificates.js";
import { gist, makeCheck as checkMade, runOnce } from "../support/check-context.js";
import { freePort } from "../support/free-port.js";
import { listening, type Listening } from "../support/listening.js";
import { until } from "../support/until.js";

const authority = createAuthority();
const leaf = authority.issue(["DNS:duck.test", "IP:127.0.0.1"]);
after(() => authority.remove());

function serve(context: TestContext, handler: RequestListener): Promise<Listening & { server: Server }> {
  const server = createServer(handler);
  return listening(context, server).then((listening) => ({ ...listening, server }));
}

/** A TCP server that reacts to the first bytes of each connection. */
function serveRaw(context: TestContext, onData: (socket: Socket, data: Buffer) => void): Promise<Listening> {
  const server = createTcpServer((socket) => socket.on("data", (data: Buffer) => onData(socket, data)));
  return listening(context, server);
}

function makeCheck(
  context: TestContext,
  address: Address,
  options: JsonObject = {},
  extra: { readonly timeoutMs?: number; readonly onConnectionLost?: () => void } = {},
): Check {
  return checkMade(context, createHttpCheck, {
    type: "http",
    address,
    options: { fresh_every: 0, ...options },
    ...extra,
  });
}

const ok = (_request: IncomingMessage, response: ServerResponse) => void response.end("ok");

test("a 2xx answer passes, over one connection for all runs, with the node's address as Host", async (context) => {
  const hosts = new Set<string>();
  const { address, connections } = await serve(context, (request, response) => {
    hosts.add(request.headers.host ?? "");
    response.end("ok");
  });
  const check = makeCheck(context, address);

  for (let run = 0; run < 5; run++) {
    const observation = await runOnce(check);
    assert.deepEqual(gist(observation), { outcome: "passed", facts: { status: "200" } });
    assert.ok(observation.latencyMs > 0 && observation.latencyMs < 2_000);
  }

  assert.equal(connections(), 1);
  assert.deepEqual([...hosts], [`127.0.0.1:${address.kind === "tcp" ? address.port : 0}`]);
});

test("method, headers, body and path arrive as configured, and the Host is the URL's", async (context) => {
  let seen: Record<string, unknown> = {};
  const { address } = await serve(context, (request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const { host, "x-duck": duck, "content-length": length, authorization } = request.headers;
      seen = { url: request.url, method: request.method, host, duck, length, authorization, body };
      response.end();
    });
  });
  const check = makeCheck(context, address, {
    url: "http://shop.example:8080/health?deep=1",
    method: "post",
    headers: { "X-Duck": "quack" },
    body: "ping",
    basic_auth: { username: "duck", password: "pond" },
  });

  assert.equal((await runOnce(check)).outcome, "passed");

  assert.deepEqual(seen, {
    url: "/health?deep=1",
    method: "POST",
    host: "shop.example:8080",
    duck: "quack",
    length: "4",
    authorization: `Basic ${Buffer.from("duck:pond").toString("base64")}`,
    body: "ping",
  });
});

test("statuses outside the accepted ones fail, and degraded ones degrade", async (context) => {
  const { address } = await serve(context, (request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    response.setHeader("location", "/login").end("x");
  });
  const gistOf = async (status: number, options: JsonObject = {}) =>
    gist(await runOnce(makeCheck(context, address, { url: `/${status}`, ...options })));

  assert.deepEqual(await gistOf(503), {
    outcome: "failed",
    reason: "badStatus",
    detail: 'status 503 to "/login", expected 200-299',
    facts: { status: "503" },
  });
  assert.equal((await gistOf(302))["outcome"], "failed");
  assert.equal((await gistOf(302, { status: ["2xx", 302] }))["outcome"], "passed");
  assert.equal((await gistOf(401, { status: "400-404" }))["outcome"], "passed");
  assert.equal((await gistOf(429, { degraded_status: [429] }))["outcome"], "degraded");
});

test("redirects are followed on the node only, and no further than allowed", async (context) => {
  const { address } = await serve(context, (request, response) => {
    const routes: Record<string, string> = {
      "/a": "/b",
      "/b": `http://${request.headers.host}/c`,
      "/loop": "/loop",
      "/away": "http://elsewhere.example/c",
    };
    const location = routes[request.url ?? ""];
    if (location !== undefined) response.writeHead(302, { location });
    response.end("there");
  });
  const run = async (url: string, redirects: number) =>
    gist(await runOnce(makeCheck(context, address, { url, redirects, expect_body: "there" })));

  assert.equal((await run("/a", 2))["outcome"], "passed");
  assert.equal((await run("/a", 1))["outcome"], "failed");
  assert.equal((await run("/loop", 5))["reason"], "badStatus");
  assert.match(String((await run("/away", 5))["detail"]), /302 to "http:\/\/elsewhere\.example/);
});

test("bodies are judged as text, by regular expression and as JSON", async (context) => {
  const body = JSON.stringify({ state: "ready", queue: { depth: 7 }, shards: [{ id: "a" }] });
  const { address } = await serve(context, (_request, response) => void response.end(body));
  const run = async (expect_body: JsonObject | string) =>
    gist(await runOnce(makeCheck(context, address, { expect_body })));

  assert.equal((await run("ready"))["outcome"], "passed");
  assert.equal((await run({ regex: '"depth":\\d+', not_contains: "error" }))["outcome"], "passed");
  assert.equal(
    (
      await run({
        json: [
          ["state", "eq", "ready"],
          ["shards[0].id", "exists"],
        ],
      })
    )["outcome"],
    "passed",
  );
  assert.deepEqual(await run({ json: ["queue.depth", "lt", 5] }), {
    outcome: "failed",
    reason: "badBody",
    detail: "queue.depth is 7, expected lt 5",
    facts: { status: "200" },
  });
  assert.equal((await run({ json: ["__proto__", "exists"] }))["outcome"], "failed");
  assert.equal((await run("missing"))["reason"], "badBody");
});

test("an answer slower than `slow` is degraded", async (context) => {
  const { address } = await serve(context, (_request, response) => void setTimeout(() => response.end(), 30));

  const observation = await runOnce(makeCheck(context, address, { slow: "10ms" }));

  assert.equal(observation.outcome, "degraded");
  assert.equal(observation.outcome === "degraded" && observation.reason, "slow");
});

test("a closed port is refused", async (context) => {
  const address: Address = { kind: "tcp", host: "127.0.0.1", port: await freePort() };

  const observation = await runOnce(makeCheck(context, address));

  assert.equal(observation.outcome === "failed" && observation.reason, "refused");
});

test("garbage instead of headers is a protocol failure", async (context) => {
  const { address } = await serveRaw(context, (socket) => void socket.write("SSH-2.0-OpenSSH_9.2\r\n"));

  const observation = await runOnce(makeCheck(context, address));

  assert.equal(observation.outcome === "failed" && observation.reason, "protocol");
});

test("endless headers are cut off", async (context) => {
  let sent = 0;
  const { address } = await serveRaw(context, (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    const more = () => {
      while (!socket.destroyed && socket.write(`x-${sent++}: ${"y".repeat(1000)}\r\n`));
    };
    socket.on("drain", more);
    more();
  });

  const observation = await runOnce(makeCheck(context, address));

  assert.equal(observation.outcome === "failed" && observation.reason, "tooLarge");
});

for (const [what, start, detail] of [
  ["silence", "", "no answer in time"],
  ["trickled headers", "HTTP/1.1 200 OK\r\n", "no answer in time"],
  [
    "a trickled body",
    "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
    /did not end in time, after \d+ bytes/,
  ],
] as const) {
  test(`${what} times out at the signal, and the connection goes with it`, async (context) => {
    const { address, sockets } = await serveRaw(context, (socket) => {
      socket.write(start);
      const timer = setInterval(() => {
        if (start !== "") socket.write("x");
      }, 10);
      socket.on("close", () => clearInterval(timer));
    });
    const check = makeCheck(context, address);

    const startMs = performance.now();
    const observation = await runOnce(check, 100);
    const tookMs = performance.now() - startMs;

    assert.equal(observation.outcome === "failed" && observation.reason, "timedOut");
    assert.match(observation.outcome === "failed" ? observation.detail : "", new RegExp(detail));
    assert.ok(tookMs >= 95 && tookMs < 400, `took ${tookMs} ms`);
    await until(() => sockets.size === 0, "the connection is closed");
  });
}

test("a TLS handshake that nobody answers times out at the signal", async (context) => {
  const { address, sockets } = await serveRaw(context, () => undefined);

  const startMs = performance.now();
  const observation = await runOnce(makeCheck(context, address, { tls: true }), 100);

  assert.ok(performance.now() - startMs < 400);
  assert.deepEqual(gist(observation), {
    outcome: "failed",
    reason: "timedOut",
    detail: "no connection in time",
  });
  await until(() => sockets.size === 0, "the connection is closed");
});

test("a body of 100 MB is not read: irrelevant, it passes; expected, it is too large", async (context) => {
  let written = 0;
  const chunk = Buffer.alloc(65_536, "x");
  const { address, sockets } = await serve(context, (_request, response) => {
    const more = () => {
      while (written < 100_000_000 && !response.destroyed) {
        written += chunk.length;
        if (!response.write(chunk)) return;
      }
      response.end();
    };
    response.on("drain", more);
    more();
  });

  const irrelevant = await runOnce(makeCheck(context, address, { max_body: "64KiB" }));
  await until(() => sockets.size === 0, "the first connection is closed");
  const writtenFirst = written;
  written = 0;
  const expected = await runOnce(
    makeCheck(context, address, { max_body: "64KiB", expect_body: { json: ["a", "exists"] } }),
  );
  await until(() => sockets.size === 0, "the second connection is closed");
  const found = await runOnce(makeCheck(context, address, { max_body: "64KiB", expect_body: "xxx" }));

  assert.equal(irrelevant.outcome, "passed");
  assert.equal(expected.outcome === "failed" && expected.reason, "tooLarge");
  assert.equal(found.outcome, "passed");
  // Socket buffers on both sides hold a few megabytes at most.
  assert.ok(
    writtenFirst < 16_000_000 && written < 32_000_000,
    `the server wrote ${writtenFirst} and ${written} bytes`,
  );
});

test("a run that overlaps an unanswered one uses a standby connection", async (context) => {
  const waiting: ServerResponse[] = [];
  let isHanging = true;
  const { address, connections } = await serve(context, (_request, response) => {
    if (isHanging) waiting.push(response);
    else response.end();
  });
  const check = makeCheck(context, address);

  const first = runOnce(check);
  await until(() => waiting.length === 1, "the first request arrives");
  isHanging = false;
  const second = await runOnce(check);
  waiting[0]?.end();

  assert.equal(second.outcome, "passed");
  assert.equal((await first).outcome, "passed");
  assert.equal(connections(), 2);
});

test("an idle connection that the server drops unannounced is reported, once, and the next run passes", async (context) => {
  let losses = 0;
  const { address, sockets, server } = await serve(context, ok);
  server.keepAliveTimeout = 0;
  const check = makeCheck(context, address, {}, { onConnectionLost: () => losses++ });
  await runOnce(check);
  await runOnce(check);

  for (const socket of sockets) socket.destroy();
  await until(() => losses > 0, "the loss is reported");

  assert.equal((await runOnce(check)).outcome, "passed");
  assert.equal(losses, 1);
});

test("closing as announced is no loss: `Connection: close` and an announced idle time", async (context) => {
  let losses = 0;
  const { address, sockets, server } = await serve(context, (request, response) => {
    if (request.url === "/close") response.setHeader("connection", "close");
    response.end();
  });
  server.keepAliveTimeout = 1_000;
  for (const url of ["/close", "/"]) {
    const check = makeCheck(context, address, { url }, { onConnectionLost: () => losses++ });
    assert.equal((await runOnce(check)).outcome, "passed");
    assert.equal((await runOnce(check)).outcome, "passed");
  }

  await until(() => sockets.size === 0, "all connections have ended");

  assert.equal(losses, 0);
});

test("a server that never keeps connections is not reported as lost after every run", async (context) => {
  let losses = 0;
  const { address } = await serveRaw(context, (socket) => {
    socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  });
  const check = makeCheck(context, address, {}, { onConnectionLost: () => losses++ });

  for (let run = 0; run < 5; run++) {
    assert.equal((await runOnce(check)).outcome, "passed");
    await new Promise((resolve) => setImmediate(resolve));
  }

  assert.equal(losses, 0);
});

test("a server that closes exactly as the request is sent does not fail the run", async (context) => {
  const seen = new Map<Socket, number>();
  const { address, connections } = await serveRaw(context, (socket) => {
    const requests = (seen.get(socket) ?? 0) + 1;
    seen.set(socket, requests);
    // The second request of a connection meets a server that has just given it up.
    if (requests === 2) socket.resetAndDestroy();
    else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  });
  const check = makeCheck(context, address);

  for (let run = 0; run < 6; run++) assert.equal((await runOnce(check)).outcome, "passed");

  assert.equal(connections(), 6);
});

test("a new connection that is reset fails: nothing excuses it", async (context) => {
  const { address, connections } = await serveRaw(context, (socket) => void socket.resetAndDestroy());

  const observation = await runOnce(makeCheck(context, address));

  assert.equal(observation.outcome === "failed" && observation.reason, "reset");
  assert.equal(connections(), 1);
});

test("now and then a new connection is tried; a closed listener fails the node though an old one answers", async (context) => {
  const { address, connections, server } = await serve(context, ok);
  const check = makeCheck(context, address, { fresh_every: 3 });
  for (let run = 0; run < 7; run++) assert.equal((await runOnce(check)).outcome, "passed");
  await until(() => connections() >= 3, "new connections were made");

  server.closeIdleConnections = () => undefined;
  server.close();
  let last = await runOnce(check);
  for (let run = 0; run < 5 && last.outcome === "passed"; run++) {
    last = await runOnce(check);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }

  assert.equal(last.outcome === "failed" && last.reason, "refused");
});

test("a listener that comes back is believed again, and its refusals are told once", async (context) => {
  const { address, server } = await serve(context, ok);
  const check = makeCheck(context, address, { fresh_every: 3 });
  const runUntil = async (outcome: string): Promise<void> => {
    for (let run = 0; run < 50; run++) {
      const observation = await runOnce(check);
      if (observation.outcome === "failed") {
        assert.equal(observation.detail.match(/new connections fail/g)?.length ?? 0, 1, observation.detail);
      }
      if (observation.outcome === outcome) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.fail(`No run in fifty was ${outcome}`);
  };
  await runUntil("passed");
  server.closeIdleConnections = () => undefined;
  server.close();
  await runUntil("failed");

  server.listen(address.kind === "tcp" ? address.port : 0, "127.0.0.1");

  await runUntil("passed");
  for (let run = 0; run < 7; run++) assert.equal((await runOnce(check)).outcome, "passed");
});

test("a unix socket is asked as localhost", async (context) => {
  const directory = await temporaryFolder(context, "duck-http-");
  const server = createServer((request, response) => void response.end(request.headers.host));
  const { address } = await listening(context, server, join(directory, "s"));

  const observation = await runOnce(makeCheck(context, address, { expect_body: { equals: "localhost" } }));

  assert.equal(observation.outcome, "passed");
});

test("over TLS the certificate must be for the URL's host, whatever the node's address", async (context) => {
  const names: unknown[] = [];
  const server = createHttpsServer(
    { cert: leaf.cert, key: leaf.key, SNICallback: (name, done) => (names.push(name), done(null)) },
    ok,
  );
  const { address } = await listening(context, server);
  const tls = { ca_file: authority.caFile };
  const run = async (options: JsonObject) => gist(await runOnce(makeCheck(context, address, options)));

  assert.equal((await run({ url: "https://duck.test/", tls }))["outcome"], "passed");
  assert.deepEqual(names, ["duck.test"]);
  assert.equal((await run({ url: "/", tls }))["outcome"], "passed");
  assert.equal((await run({ url: "/", tls: { ...tls, server_name: "duck.test" } }))["outcome"], "passed");
  assert.equal((await run({ url: "https://goose.test/", tls }))["reason"], "tls");
  assert.equal((await run({ url: "https://duck.test/" }))["reason"], "tls");
  assert.equal((await run({ url: "https://goose.test/", tls: { skip_verify: true } }))["outcome"], "passed");
  assert.deepEqual(
    await run({ url: "/", tls: { ca_file: "/nowhere/ca.pem" } }).then((seen) => [
      seen["outcome"],
      seen["reason"],
    ]),
    ["inconclusive", "internal"],
  );
});

test("a client certificate is shown to a server that asks for one", async (context) => {
  const server = createHttpsServer(
    { cert: leaf.cert, key: leaf.key, ca: authority.ca, requestCert: true },
    ok,
  );
  const { address } = await listening(context, server);
  const tls = { ca_file: authority.caFile };

  const without = await runOnce(makeCheck(context, address, { tls }));
  const shown = await runOnce(
    makeCheck(context, address, { tls: { ...tls, cert_file: leaf.certFile, key_file: leaf.keyFile } }),
  );

  assert.equal(without.outcome, "failed");
  assert.equal(shown.outcome, "passed");
});

test("a certificate that ends soon warns, or degrades when asked to", async (context) => {
  const ending = authority.issue(["IP:127.0.0.1"], { days: 5 });
  const { address } = await listening(context, createHttpsServer({ cert: ending.cert, key: ending.key }, ok));
  const tls = { ca_file: authority.caFile };
  const run = (options: JsonObject) => runOnce(makeCheck(context, address, { tls, ...options }));

  const warned = await run({});
  const degraded = await run({ certificate_expiry_days: { warn: 30, degrade: 7 } });
  const silent = await run({ certificate_expiry_days: 2 });

  assert.match(warned.outcome === "passed" ? String(warned.warnings) : "", /certificate ends in 4 days/);
  assert.equal(degraded.outcome === "degraded" && degraded.reason, "certificateExpiry");
  assert.equal(silent.outcome === "passed" && silent.warnings, undefined);
});

test("HTTP/2 is spoken over TLS, with prior knowledge without it, and by choice with auto", async (context) => {
  const versions: string[] = [];
  const note = (request: { readonly httpVersion: string }) => versions.push(request.httpVersion);
  const secure = createSecureServer(
    { cert: leaf.cert, key: leaf.key, allowHTTP1: true },
    (request, response) => {
      note(request);
      response.end("ok");
    },
  );
  const plain = createHttp2Server((request, response) => {
    note(request);
    response.end("ok");
  });
  const secureAt = await listening(context, secure);
  const plainAt = await listening(context, plain);
  const tls = { ca_file: authority.caFile };
  const runs: readonly [Address, JsonObject][] = [
    [secureAt.address, { tls, http_version: 2 }],
    [secureAt.address, { tls, http_version: "auto" }],
    [secureAt.address, { tls }],
    [plainAt.address, { http_version: 2 }],
  ];

  for (const [address, options] of runs) {
    const check = makeCheck(context, address, { expect_body: "ok", ...options });
    assert.equal((await runOnce(check)).outcome, "passed");
    assert.equal((await runOnce(check)).outcome, "passed");
  }

  assert.deepEqual(versions, ["2.0", "2.0", "2.0", "2.0", "1.1", "1.1", "2.0", "2.0"]);
  assert.equal(secureAt.connections() + plainAt.connections(), 4);
});

test("HTTP/2 asked of a server without it is a protocol failure", async (context) => {
  const plain = await serve(context, ok);
  const secure = await listening(
    context,
    createHttpsServer({ cert: leaf.cert, key: leaf.key, ALPNProtocols: [] }, ok),
  );

  const overPlain = await runOnce(makeCheck(context, plain.address, { http_version: 2 }));
  const overTls = await runOnce(
    makeCheck(context, secure.address, { http_version: 2, tls: { ca_file: authority.caFile } }),
  );

  assert.equal(overPlain.outcome === "failed" && overPlain.reason, "protocol");
  assert.equal(overTls.outcome, "failed");
});

test("a bearer token is read from its file, again when it changes, and its absence is no verdict", async (context) => {
  const directory = await temporaryFolder(context, "duck-token-");
  const file = join(directory, "token");
  const { address } = await serve(context, (request, response) => {
    response.statusCode = request.headers.authorization === "Bearer one" ? 200 : 401;
    response.end();
  });
  const check = makeCheck(context, address, { bearer_token_file: file });

  const missing = await runOnce(check);
  writeFileSync(file, "one\n");
  const present = await runOnce(check);

  assert.deepEqual(
    [missing.outcome, missing.outcome === "inconclusive" && missing.reason],
    ["inconclusive", "internal"],
  );
  assert.equal(present.outcome, "passed");
});

test("close() ends every connection, and a run after it fails without one", async (context) => {
  const { address, sockets } = await serve(context, ok);
  const check = makeCheck(context, address);
  await runOnce(check);

  check.close();
  check.close();

  await until(() => sockets.size === 0, "connections are closed");
  assert.notEqual((await runOnce(check, 200)).outcome, "passed");
});
