import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer as createTcpServer } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { WebSocketServer } from "ws";
import type { ServerOptions, WebSocket } from "ws";
import type { Check } from "../../checks/check.js";
import { createWebsocketCheck } from "../../checks/websocket.js";
import type { JsonObject } from "../../common/config/model.js";
import type { Address } from "../../common/model/address.js";
import { atEnd } from "../support/at-end.js";
import { createAuthority } from "../support/certificates.js";
import { gist, makeCheck as checkMade, runOnce } from "../support/check-context.js";
import { freePort } from "../support/free-port.js";
import { listening, type Listening } from "../support/listening.js";
import { until } from "../support/until.js";

async function serve(
  context: TestContext,
  onSession: (socket: WebSocket, request: IncomingMessage) => void,
  options: { readonly server?: Server; readonly ws?: ServerOptions } = {},
): Promise<Listening> {
  const server = options.server ?? createServer();
  const sessions = new WebSocketServer({ server, ...options.ws });
  sessions.on("connection", (socket, request) => {
    socket.on("error", () => undefined);
    onSession(socket, request);
  });
  return listening(context, server);
}

function makeCheck(
  context: TestContext,
  address: Address,
  options: JsonObject = {},
  onConnectionLost = () => {},
): Check {
  return checkMade(context, createWebsocketCheck, { type: "websocket", address, options, onConnectionLost });
}

const reasonOf = async (check: Check, timeoutMs?: number) => {
  const observation = await runOnce(check, timeoutMs);
  return observation.outcome === "passed" ? "passed" : observation.reason;
};

test("the original's flow passes: send_json, then expect_json with match and skip_forward", async (context) => {
  const { address } = await serve(context, (socket) => {
    socket.on("message", (data: Buffer) => {
      const { op } = JSON.parse(data.toString()) as { op: string };
      socket.send(JSON.stringify({ event: "noise" }));
      socket.send(JSON.stringify({ event: "welcome", for: { op } }));
    });
  });
  const flow = (skip_forward: boolean) => [
    { send_json: { op: "hello" } },
    {
      expect_json: {
        match: [
          ["event", "eq", "welcome"],
          ["for.op", "exists"],
        ],
        skip_forward,
      },
    },
  ];

  const skipping = await runOnce(makeCheck(context, address, { flow: flow(true) }));
  const strict = await runOnce(makeCheck(context, address, { flow: flow(false) }));

  assert.deepEqual(gist(skipping), { outcome: "passed" });
  assert.deepEqual(gist(strict), {
    outcome: "failed",
    reason: "mismatch",
    detail: 'step 2: event is "noise", expected eq "welcome"',
  });
});

test("text, regular expressions and pings work, whatever order messages come in", async (context) => {
  const { address } = await serve(context, (socket) => {
    socket.send("greeting 42");
    socket.on("message", (data: Buffer) => socket.send(`echo ${data.toString()}`));
  });

  const check = makeCheck(context, address, {
    flow: [{ ping: true }, { expect: { regex: "^greeting \\d+$" } }, { send: "quack" }, { expect: "quack" }],
  });

  assert.equal(await reasonOf(check), "passed");
});

test("without a flow, the handshake and a ping are the check", async (context) => {
  const answering = await serve(context, () => undefined);
  const mute = await serve(context, () => undefined, { ws: { autoPong: false } });

  assert.equal(await reasonOf(makeCheck(context, answering.address)), "passed");
  assert.deepEqual(gist(await runOnce(makeCheck(context, mute.address), 100)), {
    outcome: "failed",
    reason: "timedOut",
    detail: "no answer to the ping of step 1 of 1",
  });
});

test("path, headers, subprotocol and the URL's host reach the server", async (context) => {
  let seen: unknown;
  const { address } = await serve(context, (socket, { url, headers }) => {
    seen = [url, headers.host, headers["x-duck"], socket.protocol, headers.authorization?.slice(0, 5)];
  });
  const check = makeCheck(context, address, {
    url: "ws://chat.example/live?room=1",
    headers: { "X-Duck": "quack" },
    subprotocol: "v2.chat",
    basic_auth: { username: "a", password: "b" },
  });

  assert.equal(await reasonOf(check), "passed");

  assert.deepEqual(seen, ["/live?room=1", "chat.example", "quack", "v2.chat", "Basic"]);
});

test("each way to refuse has its reason", async (context) => {
  const closing = await serve(context, (socket) => socket.close(1008, "go away"));
  const big = await serve(context, (socket) => socket.send("x".repeat(5_000)));
  const httpOnly = createServer((_request, response) => void response.writeHead(404).end());
  httpOnly.listen(0, "127.0.0.1");
  await once(httpOnly, "listening");
  atEnd(context, () => httpOnly.close());
  const httpPort = httpOnly.address();
  assert.ok(httpPort !== null && typeof httpPort !== "string");
  const garbage = createTcpServer(
    (socket) => void socket.on("error", () => undefined).write("220 mail ESMTP\r\n"),
  );
  garbage.listen(0, "127.0.0.1");
  await once(garbage, "listening");
  atEnd(context, () => garbage.close());
  const garbagePort = garbage.address();
  assert.ok(garbagePort !== null && typeof garbagePort !== "string");
  const at = (port: number): Address => ({ kind: "tcp", host: "127.0.0.1", port });
  const expectAny = { flow: [{ expect: "never" }] };

  const closed = await runOnce(makeCheck(context, closing.address, expectAny));
  assert.deepEqual(gist(closed), {
    outcome: "failed",
    reason: "closed",
    detail: 'the server closed the session with code 1008 "go away"',
  });
  assert.equal(
    await reasonOf(makeCheck(context, big.address, { ...expectAny, max_payload: "1KiB" })),
    "tooLarge",
  );
  assert.equal(await reasonOf(makeCheck(context, at(httpPort.port))), "badStatus");
  assert.equal(await reasonOf(makeCheck(context, at(garbagePort.port))), "protocol");
  assert.equal(await reasonOf(makeCheck(context, at(await freePort()))), "refused");
  assert.equal(await reasonOf(makeCheck(context, closing.address, { subprotocol: "unknown" })), "closed");
});

test("waiting in vain ends at the signal, says for what, and takes the connection along", async (context) => {
  const { address, sockets } = await serve(context, (socket) => {
    const timer = setInterval(() => socket.send('{"tick":1}'), 10);
    socket.on("close", () => clearInterval(timer));
  });
  const check = makeCheck(context, address, {
    flow: [{ expect_json: { match: ["tock", "exists"], skip_forward: true } }],
  });

  const startMs = performance.now();
  const observation = await runOnce(check, 150);

  assert.ok(performance.now() - startMs < 450);
  assert.equal(observation.outcome === "failed" && observation.reason, "timedOut");
  assert.match(
    observation.outcome === "failed" ? observation.detail : "",
    /^no fitting message for step 1 of 1, \d+ skipped: tock is absent$/,
  );
  await until(() => sockets.size === 0, "the connection is closed");
});

test("a handshake that nobody answers times out at the signal", async (context) => {
  const mute = createTcpServer((socket) => void socket.on("error", () => undefined));
  mute.listen(0, "127.0.0.1");
  await once(mute, "listening");
  atEnd(context, () => mute.close());
  const bound = mute.address();
  assert.ok(bound !== null && typeof bound !== "string");

  const observation = await runOnce(
    makeCheck(context, { kind: "tcp", host: "127.0.0.1", port: bound.port }),
    100,
  );

  assert.deepEqual(gist(observation), {
    outcome: "failed",
    reason: "timedOut",
    detail: "no answer to the handshake",
  });
});

test("a flood of messages while a ping is awaited ends the run instead of filling memory", async (context) => {
  let sent = 0;
  const { address } = await serve(
    context,
    (socket) => {
      const flood = () => {
        if (socket.readyState !== 1) return;
        sent++;
        socket.send("x".repeat(1_000), () => setImmediate(flood));
      };
      flood();
    },
    { ws: { autoPong: false } },
  );

  const reason = await reasonOf(
    makeCheck(context, address, { flow: [{ ping: true }], max_payload: "64KiB" }),
  );

  assert.equal(reason, "tooLarge");
  assert.ok(sent < 20_000, `the server sent ${sent} messages`);
});

test("each run has a session of its own, and says goodbye", async (context) => {
  const codes: number[] = [];
  const { address, connections } = await serve(context, (socket) =>
    socket.on("close", (code) => codes.push(code)),
  );
  const check = makeCheck(context, address);

  await runOnce(check);
  await runOnce(check);

  await until(() => codes.length === 2, "both sessions are closed");
  assert.deepEqual(codes, [1000, 1000]);
  assert.equal(connections(), 2);
});

test("a persistent session is used again, its loss is reported, and a race with its end is excused", async (context) => {
  let losses = 0;
  const sessions: WebSocket[] = [];
  let isRacing = false;
  const { address, connections } = await serve(context, (socket) => {
    const isFirstOfRace = isRacing;
    sessions.push(socket);
    socket.on("message", () => {
      if (isRacing && !isFirstOfRace) socket.terminate();
      else socket.send("pong");
    });
  });
  const options = { persistent: true, flow: [{ send: "ping" }, { expect: "pong" }] };
  const check = makeCheck(context, address, options, () => losses++);

  for (let run = 0; run < 3; run++) assert.equal(await reasonOf(check), "passed");
  assert.equal(connections(), 1);
  sessions[0]?.terminate();
  await until(() => losses === 1, "the loss is reported");
  assert.equal(await reasonOf(check), "passed");
  assert.equal(connections(), 2);

  isRacing = true;
  assert.equal(await reasonOf(check), "passed");

  assert.equal(connections(), 3);
  assert.equal(losses, 1);
});

test("over TLS the certificate must be for the URL's host, and its end is warned of", async (context) => {
  const authority = createAuthority();
  atEnd(context, () => authority.remove());
  const leaf = authority.issue(["DNS:duck.test"], { days: 3 });
  const names: string[] = [];
  const server = createHttpsServer({
    cert: leaf.cert,
    key: leaf.key,
    SNICallback: (name, done) => {
      names.push(name);
      done(null);
    },
  });
  const { address } = await serve(context, () => undefined, { server });
  const tls = { ca_file: authority.caFile };

  const right = await runOnce(makeCheck(context, address, { url: "wss://duck.test/", tls }));
  const wrong = await reasonOf(makeCheck(context, address, { url: "wss://goose.test/", tls }));

  assert.match(right.outcome === "passed" ? String(right.warnings) : "", /certificate ends in 2 days/);
  assert.equal(wrong, "tls");
  assert.deepEqual(names, ["duck.test", "goose.test"]);
});

test("close() ends a run under way and leaves no connection", async (context) => {
  const { address, sockets } = await serve(context, () => undefined);
  const check = makeCheck(context, address, { flow: [{ expect: "never" }] });

  const running = runOnce(check, 10_000);
  await until(() => sockets.size === 1, "the run has begun");
  check.close();

  assert.equal((await running).outcome, "failed");
  await until(() => sockets.size === 0, "the connection is closed");
  assert.equal((await runOnce(check)).outcome, "failed");
});
