import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { ClusterduckError } from "../common/errors.js";
import { createGrpcServer } from "../common/grpc/server.js";
import { bindService } from "../common/grpc/service.js";
import type { ServiceHandlers } from "../common/grpc/service.js";
import { silentLogger } from "../common/logger.js";
import { ControlService } from "../proto/gen/clusterduck/v1/control_pb.js";
import { startFakeServer } from "../test/support/fake-server.js";
import { createTierClient } from "./tier-client.js";
import { runDuckctl } from "../test/support/duckctl.js";

type Handlers = ServiceHandlers<typeof ControlService>;

const LISTS: Partial<Handlers> = {
  listClusters: async () => ({ clusters: [{ name: "web", type: "tcp" }] }),
  listNodes: async () => ({}),
  listTriggers: async () => ({}),
  listChecks: async () => ({}),
  listAgents: async () => ({}),
};

/** A coordinator that answers as a test says. */
async function start(t: TestContext, handlers: Partial<Handlers>): Promise<string> {
  const refuse = async () => {
    throw new ClusterduckError("INVALID_ARGUMENT", "Not part of this test");
  };
  const all = Object.fromEntries(ControlService.methods.map(({ localName }) => [localName, refuse]));
  const service = bindService(ControlService, { ...all, ...handlers } as Handlers);
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await createGrpcServer({ listen, logger: silentLogger, services: [service] });
  t.after(() => server.close(0));
  return server.address;
}

/** As a process that is stopped: the system takes connections for it, and nobody speaks. */
async function startStopped(t: TestContext): Promise<string> {
  const server = await startFakeServer(() => undefined);
  t.after(() => server.stop());
  return server.addr;
}

/** Where nobody listens. */
async function nobodyAt(): Promise<string> {
  const server = await startFakeServer(() => undefined);
  await server.stop();
  return server.addr;
}

test("calls of one moment each go on from a server that stands still to the next", async (t) => {
  const servers = [await startStopped(t), await start(t, LISTS), await nobodyAt()];
  const beganMs = performance.now();

  const { code, out, err } = await runDuckctl(["-s", servers.join(","), "ls", "clusters"]);

  assert.equal(code, 0, err);
  assert.match(out, /web/);
  assert.ok(performance.now() - beganMs < 5_000);
});

test("what each server did is said of that server alone", async (t) => {
  const [stopped, nobody] = [await startStopped(t), await nobodyAt()];

  const { code, err } = await runDuckctl(["-s", `${stopped},${nobody}`, "ls"]);

  assert.equal(code, 4);
  assert.match(err, new RegExp(`${stopped}: the host does not answer; ${nobody}: connection refused`));
});

test("a coordinator that waits for a leader is heard out when the others are gone", async (t) => {
  const slow = await start(t, {
    listNodes: async () => {
      await new Promise((resolve) => setTimeout(resolve, 3_500));
      throw new ClusterduckError("UNREACHABLE", "No leader in term 3", { hint: "Start those" });
    },
  });

  const { code, err } = await runDuckctl(["-s", `${slow},${await nobodyAt()}`, "nodes", "list"]);

  assert.equal(code, 4);
  assert.match(err, /No leader in term 3\n {2}try: Start those/);
});

test("changes and questions go on past a coordinator without a leader, and stay with the one that answers", async (t) => {
  let asked = 0;
  const leaderless = async () => {
    asked++;
    throw new ClusterduckError("UNREACHABLE", "No leader in term 3", { hint: "Start those" });
  };
  const servers = [
    await start(t, { addNode: leaderless, listNodes: leaderless }),
    await start(t, {
      listNodes: LISTS.listNodes as Handlers["listNodes"],
      addNode: async () => ({ index: 7n }),
      listCoordinators: async () => ({ leaderId: "c2", featureLevel: 0 }),
    }),
  ];
  const client = createTierClient({ servers, tls: null }, false);
  t.after(() => client.close());
  const node = { cluster: "web", addr: "10.0.0.1:80" };

  assert.equal((await client.control.addNode({ node }, { timeoutMs: 5_000 })).index, 7n);
  await client.control.listNodes({}, { timeoutMs: 5_000 });

  assert.equal(asked, 1);
});

test("a change that nobody answers in time is told as unknown; one that was never sent, as unanswered", async (t) => {
  const mute = await start(t, { addNode: () => new Promise<never>(() => undefined) });
  const add = (server: string) =>
    runDuckctl(["-s", server, "--timeout", "1s", "nodes", "add", "web", "10.0.0.1:80"]);

  const unknown = await add(mute);
  const unsent = await add(await startStopped(t));

  assert.deepEqual([unknown.code, unsent.code], [4, 4]);
  assert.match(unknown.err, /No answer from .* in time to this change: it may or may not have happened/);
  assert.match(unsent.err, /No answer from .* within 1s/);
});
