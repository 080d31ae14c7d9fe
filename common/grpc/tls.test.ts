import assert from "node:assert/strict";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import { Client, Metadata, credentials, status } from "@grpc/grpc-js";
import { AgentService } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { DAY_MS, createTlsTier } from "../../test/support/tls.js";
import type { TestTlsTier } from "../../test/support/tls.js";
import type { TlsConfig } from "../config/model.js";
import { ClusterduckError } from "../errors.js";
import { createLogger, silentLogger } from "../logger.js";
import type { PeerRole } from "../tls/identity.js";
import { createGrpcClient } from "./client.js";
import { createGrpcServer } from "./server.js";
import type { CallContext, ServiceHandlers } from "./service.js";
import { bindService } from "./service.js";

const LOOPBACK = { host: "127.0.0.1", port: 0 };
let tier: TestTlsTier;
let foreign: TestTlsTier;
before(async () => {
  [tier, foreign] = await Promise.all([createTlsTier(), createTlsTier()]);
});
after(() => {
  tier.remove();
  foreign.remove();
});

type Seen = { context: CallContext | null };

/** A control service that answers with what it knows of its caller, and an agent service that echoes. */
async function start(t: TestContext, config: TlsConfig, role: PeerRole = "member") {
  const lines: string[] = [];
  const logger = createLogger({
    program: "test",
    write: (line) => void lines.push(line),
    isForPeople: false,
  });
  const seen: Seen = { context: null };
  const answer = async (_request: unknown, context: CallContext) => {
    seen.context = context;
    return { yaml: "x" };
  };
  const control = Object.fromEntries(
    ControlService.methods.map(({ localName }) => [localName, answer]),
  ) as unknown as ServiceHandlers<typeof ControlService>;
  const tls = await tier.open(config, role, logger);
  const server = await createGrpcServer({
    listen: LOOPBACK,
    logger,
    tls,
    services: [
      bindService(ControlService, control, ["client"]),
      bindService(
        AgentService,
        {
          connect: async function* (requests) {
            for await (const _request of requests) yield {};
          },
        },
        ["agent"],
      ),
    ],
  });
  t.after(async () => {
    tls.close();
    await server.close(0);
  });
  const events = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { server, tls, seen, events };
}

async function callWith(
  t: TestContext,
  address: string,
  options: { readonly files: TlsConfig; readonly role?: PeerRole; readonly of?: TestTlsTier },
) {
  const tls = await (options.of ?? tier).open(options.files, options.role ?? "client");
  const client = createGrpcClient(ControlService, address, { tls });
  t.after(() => {
    client.close();
    tls.close();
  });
  return client.call.getConfig({}, { timeoutMs: 10_000 });
}

/** The error of a call that has to fail. */
async function refusal(call: Promise<unknown>): Promise<ClusterduckError> {
  try {
    await call;
  } catch (thrown) {
    assert.ok(thrown instanceof ClusterduckError);
    return thrown;
  }
  assert.fail("the call was answered");
}

test("a client of the tier is let in, and the handler knows who it is", async (t) => {
  const { server, seen } = await start(t, await tier.issue("member", "c1"));
  const files = await tier.issue("client", "admin");

  await callWith(t, server.address, { files });
  assert.deepEqual(seen.context?.identity, { role: "client", name: "admin", cluster: "test" });
  assert.match(seen.context.peer, /^client "admin" at 127\.0\.0\.1:\d+$/);

  // By name as well: that is what its certificate is for.
  await callWith(t, server.address.replace("127.0.0.1", "localhost"), { files });
});

test("each kind of wrong certificate of a caller is refused with what is wrong and what helps", async (t) => {
  const { server, events } = await start(t, await tier.issue("member", "c1"));
  const strange = await foreign.issue("client", "mallory");
  appendFileSync(strange.ca, tier.ca);
  const cases: readonly {
    readonly files: TlsConfig;
    readonly role?: PeerRole;
    readonly of?: TestTlsTier;
    readonly code: string;
    readonly message: RegExp;
    readonly hint: RegExp;
  }[] = [
    {
      files: await tier.issue("client", "old", { wallMs: Date.now() - 10 * DAY_MS }),
      code: "UNAUTHENTICATED",
      message: /the certificate of client "old" ended at .*Z, and it is .*Z here/,
      hint: /duckctl tls renew/,
    },
    {
      files: await tier.issue("client", "young", { wallMs: Date.now() + 10 * DAY_MS }),
      code: "UNAUTHENTICATED",
      message: /the certificate of client "young" begins at/,
      hint: /clocks/,
    },
    {
      files: strange,
      of: foreign,
      code: "UNAUTHENTICATED",
      message:
        /the certificate of client "mallory" is signed by "clusterduck CA test \w+", which is not trusted here/,
      hint: /certificates of one authority/,
    },
    {
      files: await tier.issue("agent", "a1"),
      role: "agent",
      code: "PERMISSION_DENIED",
      message: /it is for agent "a1", and ControlService wants one for a client/,
      hint: /duckctl tls issue client NAME/,
    },
    {
      files: await tier.issue("member", "c2"),
      role: "member",
      code: "PERMISSION_DENIED",
      message: /it is for member "c2", and ControlService wants one for a client/,
      hint: /duckctl tls issue client NAME/,
    },
  ];

  for (const { files, role = "client", of = tier, code, message, hint } of cases) {
    const error = await refusal(callWith(t, server.address, { files, role, of }));

    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.ok(error.message.includes(`refuses our certificate "${files.cert}"`), error.message);
    assert.match(error.hint ?? "", hint);
  }
  const told = events().map(({ event, certificate }) => `${String(event)} ${String(certificate)}`);
  assert.ok(told.includes('tls.refused client "old"'), told.join("\n"));
  assert.ok(
    told.includes('tls.denied agent "a1"') && told.includes('tls.denied member "c2"'),
    told.join("\n"),
  );
});

test("each kind of wrong certificate of a coordinator is refused by who calls it", async (t) => {
  const files = await tier.issue("client", "admin");
  const cases: readonly (readonly [files: TlsConfig, role: PeerRole, message: RegExp, hint: RegExp])[] = [
    [
      await tier.issue("member", "c1", { hosts: ["c1.example", "10.9.8.7"] }),
      "member",
      /its certificate, of member "c1", is for c1\.example, 10\.9\.8\.7, not for 127\.0\.0\.1$/,
      /duckctl tls issue member c1 --host 127\.0\.0\.1 --replace/,
    ],
    [
      await tier.issue("member", "c1", { wallMs: Date.now() - 10 * DAY_MS }),
      "member",
      /its certificate, or that of its authority, has ended/,
      /duckctl tls renew/,
    ],
    [
      await tier.issue("member", "c1", { wallMs: Date.now() + 10 * DAY_MS }),
      "member",
      /its certificate is not valid yet/,
      /clocks/,
    ],
    [
      await tier.issue("member", "c1", { cluster: "prod" }),
      "member",
      /it is member "c1" of "prod", not of "test"/,
      /another tier/,
    ],
    [
      await tier.issue("agent", "a1"),
      "agent",
      /its certificate is not a member's/,
      /duckctl tls issue member/,
    ],
    [
      await foreign.issue("member", "c1"),
      "member",
      /is not signed by an authority in ".*client-admin-.*\.ca"/,
      /Name the ca\.crt of that tier/,
    ],
  ];

  for (const [config, role, message, hint] of cases) {
    const { server } = await start(t, config, role);
    const error = await refusal(callWith(t, server.address, { files }));

    assert.equal(error.code, "UNAUTHENTICATED", error.message);
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
  }
});

test("who speaks no TLS, and who finds none, is told so", async (t) => {
  const { server, events } = await start(t, await tier.issue("member", "c1"));
  const plain = createGrpcClient(ControlService, server.address);
  t.after(() => plain.close());

  const error = await refusal(plain.call.getConfig({}, { timeoutMs: 10_000 }));

  assert.equal(error.code, "UNREACHABLE");
  assert.match(error.hint ?? "", /with TLS .* name certificates/);
  assert.ok(
    events().some(({ reason }) => /speaks no TLS/.test(String(reason))),
    JSON.stringify(events()),
  );

  const open = await createGrpcServer({ listen: LOOPBACK, logger: silentLogger, services: [] });
  t.after(() => open.close(0));
  const other = await refusal(callWith(t, open.address, { files: await tier.issue("client", "admin") }));
  assert.equal(other.code, "UNREACHABLE");
  assert.match(other.message, /what listens there speaks none/);
});

test("without a certificate no method answers, health included, and the connection ends by itself", async (t) => {
  const { server } = await start(t, await tier.issue("member", "c1"));
  const raw = new Client(server.address, credentials.createSsl(Buffer.from(tier.ca)), {
    "grpc.ssl_target_name_override": "localhost",
  });
  t.after(() => raw.close());

  for (const path of ["/grpc.health.v1.Health/Check", "/clusterduck.v1.ControlService/GetConfig"]) {
    const answer = await new Promise<{ code: number; details: string }>((resolve) =>
      raw
        .makeUnaryRequest(
          path,
          (bytes: Buffer) => bytes,
          (bytes) => bytes,
          Buffer.alloc(0),
          new Metadata(),
          () => undefined,
        )
        .on("status", resolve),
    );

    assert.equal(answer.code, status.UNAUTHENTICATED, path);
    assert.match(answer.details, /no certificate was presented/);
  }
  const idle = connectTls({
    port: server.port,
    host: "127.0.0.1",
    ca: tier.ca,
    servername: "localhost",
    ALPNProtocols: ["h2"],
  });
  idle.on("error", () => undefined).resume();
  await once(idle, "close");
});

test("strangers cannot hold more than a few connections, and friends are served meanwhile", async (t) => {
  const { server } = await start(t, await tier.issue("member", "c1"));
  const strangers = Array.from({ length: 40 }, () =>
    connectTls({
      port: server.port,
      host: "127.0.0.1",
      ca: tier.ca,
      servername: "localhost",
      ALPNProtocols: ["h2"],
    })
      .on("error", () => undefined)
      .resume(),
  );
  t.after(() => strangers.forEach((socket) => socket.destroy()));
  let closed = 0;
  const enough = new Promise<void>((resolve) => {
    for (const socket of strangers) socket.once("close", () => (++closed >= 24 ? resolve() : undefined));
  });

  await callWith(t, server.address, { files: await tier.issue("client", "admin") });
  await enough;

  assert.ok(closed >= 24);
});

test("bytes that are no TLS at all do not disturb the server", async (t) => {
  const { server } = await start(t, await tier.issue("member", "c1"));
  const socket = connect(server.port, "127.0.0.1").on("error", () => undefined);
  socket.end("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  socket.resume();
  await once(socket, "close");

  await callWith(t, server.address, { files: await tier.issue("client", "admin") });
});

test("new certificates are shown to new connections, and streams that are open go on", async (t) => {
  const memberFiles = await tier.issue("member", "c1");
  const { server, tls } = await start(t, memberFiles);
  const agentTls = await tier.open(await tier.issue("agent", "a1"), "agent");
  const agent = createGrpcClient(AgentService, server.address, { tls: agentTls });
  t.after(() => {
    agent.close();
    agentTls.close();
  });
  const queue: (() => void)[] = [];
  const requests = async function* () {
    for (;;) {
      yield {};
      await new Promise<void>((resolve) => queue.push(resolve));
    }
  };
  const answers = agent.call.connect(requests())[Symbol.asyncIterator]();
  await answers.next();

  // The other authority now vouches for the coordinator; the agent trusts the first one still.
  await foreign.replace(memberFiles, { role: "member", name: "c1", cluster: "test" });
  assert.equal(await tls.reload(), true);

  queue.shift()?.();
  assert.equal((await answers.next()).done, false);
  const files = await foreign.issue("client", "admin");
  await callWith(t, server.address, { files, of: foreign });
  const old = await refusal(callWith(t, server.address, { files: await tier.issue("client", "admin") }));
  assert.match(old.message, /not signed by an authority/);
  await answers.return?.();
});

test("a client that stays connects again with the certificate that is the newest then", async (t) => {
  const { server, seen } = await start(t, await tier.issue("member", "c1"));
  const files = await tier.issue("client", "admin", { wallMs: Date.now() - 10 * DAY_MS });
  const tls = await tier.open(files, "client");
  const client = createGrpcClient(ControlService, server.address, { tls });
  t.after(() => {
    client.close();
    tls.close();
  });
  assert.equal((await refusal(client.call.getConfig({}))).code, "UNAUTHENTICATED");

  await tier.replace(files, { role: "client", name: "admin", cluster: "test" });
  await tls.reload();
  const deadlineMs = performance.now() + 15_000;
  while (seen.context === null) {
    if (performance.now() > deadlineMs) assert.fail("the new certificate was never used");
    await client.call.getConfig({}).catch(() => new Promise((resolve) => setTimeout(resolve, 50)));
  }

  assert.equal(seen.context.identity?.name, "admin");
});
