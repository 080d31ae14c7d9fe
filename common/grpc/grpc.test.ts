import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Client, Metadata, credentials, status } from "@grpc/grpc-js";
import { create } from "@bufbuild/protobuf";
import { AgentService } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { ConnectRequest } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import { ControlService, WatchEventsResponseSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { ClusterduckError } from "../errors.js";
import { silentLogger } from "../logger.js";
import { createGrpcClient } from "./client.js";
import { createGrpcServer } from "./server.js";
import type { CallContext, ServiceHandlers } from "./service.js";
import { bindService } from "./service.js";
import { isUnsent } from "./unsent.js";

type ControlHandlers = ServiceHandlers<typeof ControlService>;

const LOOPBACK = { host: "127.0.0.1", port: 0 };

async function startControl(t: TestContext, handlers: Partial<ControlHandlers>, listen = LOOPBACK) {
  const refuse = async () => {
    throw new ClusterduckError("NOT_FOUND", "Not part of this test");
  };
  const all = Object.fromEntries(ControlService.methods.map(({ localName }) => [localName, refuse]));
  const service = bindService(ControlService, { ...all, ...handlers } as ControlHandlers);
  const server = await createGrpcServer({ listen, logger: silentLogger, services: [service] });
  const client = createGrpcClient(ControlService, server.address);
  t.after(async () => {
    client.close();
    await server.close(0);
  });
  return { server, client };
}

async function startAgents(
  t: TestContext,
  connect: (
    requests: AsyncIterable<ConnectRequest>,
    context: CallContext,
  ) => AsyncIterable<Record<string, never>>,
) {
  const service = bindService(AgentService, { connect });
  const server = await createGrpcServer({ listen: LOOPBACK, logger: silentLogger, services: [service] });
  t.after(() => server.close(0));
  return server;
}

test("a unary call carries typed messages both ways", async (t) => {
  const { client } = await startControl(t, {
    removeNode: async (request) => ({ index: BigInt(request.node?.addr.length ?? 0) }),
  });

  const answer = await client.call.removeNode({ node: { cluster: "web", addr: "10.0.0.1:80" } });

  assert.equal(answer.index, 11n);
});

test("an error reaches the caller with its code, message and hint, whatever characters they hold", async (t) => {
  const { client } = await startControl(t, {
    getConfig: async () => {
      throw new ClusterduckError("CONFLICT", "Knoten „web“ \ud800 ist 🦆", { hint: "Räume auf: 🦆" });
    },
  });

  await assert.rejects(client.call.getConfig({}), (thrown: unknown) => {
    assert.ok(thrown instanceof ClusterduckError);
    assert.equal(thrown.code, "CONFLICT");
    assert.match(thrown.message, /^Knoten „web“ . ist 🦆$/u);
    assert.equal(thrown.hint, "Räume auf: 🦆");
    return true;
  });
});

test("an unexpected error inside a handler is told without its stack", async (t) => {
  const { client } = await startControl(t, {
    getConfig: async () => {
      throw new TypeError("x is not a function");
    },
  });

  await assert.rejects(client.call.getConfig({}), {
    code: "COMMAND_FAILED",
    message: /GetConfig failed.*x is not/,
  });
});

test("a server stream ends in order, and leaving the loop early cancels it at the server", async (t) => {
  const ended = withResolvers();
  const { client } = await startControl(t, {
    watchEvents: async function* (request, { signal }) {
      signal.addEventListener("abort", () => ended.resolve());
      for (let index = request.sinceIndex; !signal.aborted; index += 1n) yield { event: { index } };
    },
  });

  const seen: bigint[] = [];
  for await (const { event } of client.call.watchEvents({ sinceIndex: 5n })) {
    seen.push(event?.index ?? -1n);
    if (seen.length === 100) break;
  }

  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, at) => BigInt(at + 5)),
  );
  await ended.promise;
});

test("a stream that fails in the middle delivers what came before, then the error", async (t) => {
  const { client } = await startControl(t, {
    watchEvents: async function* () {
      yield create(WatchEventsResponseSchema, { event: { index: 1n } });
      throw new ClusterduckError("CONFLICT", "Events before 7 are gone");
    },
  });

  const seen: bigint[] = [];
  await assert.rejects(
    async () => {
      for await (const { event } of client.call.watchEvents({})) seen.push(event?.index ?? -1n);
    },
    { code: "CONFLICT", message: "Events before 7 are gone" },
  );
  assert.deepEqual(seen, [1n]);
});

test("a slow reader slows the writer down instead of filling its memory", async (t) => {
  let written = 0;
  const { client } = await startControl(t, {
    saveSnapshot: async function* ({}, { signal }) {
      for (; written < 2_000 && !signal.aborted; written += 1) yield { chunk: new Uint8Array(100_000) };
    },
  });

  for await (const _chunk of client.call.saveSnapshot({})) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    break;
  }

  assert.ok(written < 200, `wrote ${written} chunks of 100 kB to a reader that took one`);
});

test("an aborted signal and a passed deadline end a call with a clear code", async (t) => {
  const { client } = await startControl(t, { getConfig: () => new Promise(() => undefined) });
  const controller = new AbortController();

  const aborted = client.call.getConfig({}, { signal: controller.signal });
  controller.abort();

  await assert.rejects(aborted, { code: "STOPPING" });
  await assert.rejects(client.call.getConfig({}, { timeoutMs: 50 }), { code: "TIMED_OUT" });
});

test("nobody listening is UNREACHABLE, at once and with the address", async () => {
  const client = createGrpcClient(ControlService, "127.0.0.1:1");

  await assert.rejects(client.call.getConfig({}), {
    code: "UNREACHABLE",
    message: /127\.0\.0\.1:1.*ECONNREFUSED/,
  });
  client.close();
});

test("a server says which address it cannot have, why, and what would work", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const start = (host: string, at: number) =>
    createGrpcServer({ listen: { host, port: at }, logger: silentLogger, services: [] });

  await assert.rejects(start("127.0.0.1", port), {
    code: "LISTEN_FAILED",
    message: `Cannot listen on 127.0.0.1:${port}: the address is in use`,
  });
  await assert.rejects(start("0.0.0.0", 7000), {
    code: "LISTEN_FAILED",
    message: /0\.0\.0\.0:7000.*loopback/,
  });
});

test("a stopping server ends its streams with STOPPING", async (t) => {
  const server = await startAgents(t, async function* (_requests, { signal }) {
    yield {};
    await once(signal, "abort");
  });
  const client = createGrpcClient(AgentService, server.address);
  t.after(() => client.close());

  await assert.rejects(
    async () => {
      for await (const _answer of client.call.connect(silence())) void server.close();
    },
    { code: "STOPPING", message: /is stopping/ },
  );
});

test("malformed and oversized messages end their call with words, and the server lives on", async (t) => {
  const server = await startAgents(t, async function* (requests) {
    for await (const _request of requests) yield {};
  });
  const send = async (bytes: Buffer): Promise<{ code: number; details: string }> => {
    const raw = new Client(server.address, credentials.createInsecure());
    const call = raw.makeBidiStreamRequest(
      "/clusterduck.v1.AgentService/Connect",
      (value: Buffer) => value,
      (value) => value,
      new Metadata(),
    );
    call.resume();
    call.on("error", () => undefined);
    call.write(bytes);
    const answer = await new Promise<{ code: number; details: string }>((resolve) =>
      call.once("status", resolve),
    );
    raw.close();
    return answer;
  };

  const malformed = await send(Buffer.from([0xff, 0xff, 0xff]));
  const oversized = await send(Buffer.alloc(5 * 1024 * 1024));

  assert.equal(malformed.code, status.INVALID_ARGUMENT);
  assert.match(malformed.details, /Cannot read a ConnectRequest/);
  assert.equal(oversized.code, status.RESOURCE_EXHAUSTED);
  const client = createGrpcClient(AgentService, server.address);
  t.after(() => client.close());
  for await (const _answer of client.call.connect(silence({ message: { case: undefined } }))) break;
});

test("bytes that are not HTTP/2 at all do not disturb the server", async (t) => {
  const { server, client } = await startControl(t, { getConfig: async () => ({ yaml: "x" }) });
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.end("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  socket.resume();

  await once(socket, "close");

  assert.equal((await client.call.getConfig({})).yaml, "x");
});

/** Sends what it is given, then keeps the stream open. */
async function* silence<T>(...first: T[]): AsyncGenerator<T> {
  yield* first;
  await new Promise(() => undefined);
}

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => undefined as void;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve: () => resolve() };
}

/** Passes each connection on to a port of this host; null: it is taken, and nothing comes of it. */
async function startRelay(t: TestContext, choosePort: () => number | null): Promise<number> {
  const sockets = new Set<Socket>();
  const relay = createServer((socket) => {
    const port = choosePort();
    const onward = port === null ? null : connect(port, "127.0.0.1");
    if (onward !== null) socket.pipe(onward).pipe(socket);
    for (const each of onward === null ? [socket] : [socket, onward]) {
      sockets.add(each);
      each.on("error", () => undefined);
    }
  });
  relay.listen(0, "127.0.0.1");
  await once(relay, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  return (relay.address() as AddressInfo).port;
}

test("a call to a host that takes connections and never speaks fails as one that was certainly not sent", async (t) => {
  const port = await startRelay(t, () => null);
  const client = createGrpcClient(ControlService, `127.0.0.1:${port}`, { connectMs: 200 });
  t.after(() => client.close());

  const thrown = await client.call.removeNode({}, { timeoutMs: 20_000 }).then(
    () => null,
    (error: unknown) => error,
  );

  assert.ok(thrown instanceof ClusterduckError);
  assert.equal(thrown.code, "UNREACHABLE");
  assert.match(thrown.message, /no connection within 200 ms/);
  assert.ok(isUnsent(thrown));
});

test("a client whose connection is stuck makes another one", async (t) => {
  const { server } = await startControl(t, { removeNode: async () => ({ index: 7n }) });
  // The first connection leads nowhere, as one that was begun while the network was down.
  let connections = 0;
  const port = await startRelay(t, () => (++connections === 1 ? null : server.port));
  const client = createGrpcClient(ControlService, `127.0.0.1:${port}`, { connectMs: 300 });
  t.after(() => client.close());

  await assert.rejects(client.call.removeNode({}));
  const answer = await client.call.removeNode({}, { timeoutMs: 10_000 });

  assert.equal(answer.index, 7n);
});

test("however long nobody listened, whoever does is reached soon", async (t) => {
  const { server: first } = await startControl(t, {});
  const { address, port } = first;
  await first.close(0);
  const client = createGrpcClient(ControlService, address, { connectMs: 300 });
  t.after(() => client.close());
  const isReached = (): Promise<boolean> =>
    client.call.removeNode({}, { timeoutMs: 5_000 }).then(
      () => true,
      (thrown: unknown) => thrown instanceof ClusterduckError && thrown.code === "NOT_FOUND",
    );
  // Long enough for gRPC to wait for seconds between its own attempts.
  const untilMs = performance.now() + 4_500;
  while (performance.now() < untilMs) {
    assert.equal(await isReached(), false);
    await delay(20);
  }
  await startControl(t, {}, { ...LOOPBACK, port });

  const backMs = performance.now();
  while (!(await isReached())) await delay(20);

  const waitedMs = performance.now() - backMs;
  assert.ok(waitedMs < 1_000, `it took ${Math.round(waitedMs)} ms`);
});

test("an error of a connection that was there does not mean that nothing was sent", () => {
  const unsent = ["connect EHOSTUNREACH 10.0.0.1:7400", "Name resolution failed for target dns:nowhere"];
  const unknown = ["read EHOSTUNREACH", "read ECONNRESET", "Connection dropped"];
  const isSaidUnsent = (words: string): boolean =>
    isUnsent(new ClusterduckError("UNREACHABLE", `Cannot reach 10.0.0.1:7400: ${words}`));

  assert.deepEqual(unsent.filter(isSaidUnsent), unsent);
  assert.deepEqual(unknown.filter(isSaidUnsent), []);
});
