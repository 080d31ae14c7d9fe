import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { AgentService, ConnectRequestSchema } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { ConnectResponse, HelloSchema } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { readStatus } from "../../agent/status.js";
import type { Request } from "../../agent/stream.js";
import type { ProxyTargetConfig } from "../../common/config/model.js";
import { createGrpcClient } from "../../common/grpc/client.js";
import type { ApplyOutcome, Bundle } from "../../common/model/delivery.js";
import {
  HandState,
  Heard,
  TCP_CHECK,
  startAgent,
  startCoordinator,
  until,
} from "../support/fleet-harness.js";
import { atEnd, temporaryFolder } from "../support/at-end.js";

const BESIDE = "127.0.0.1:7001";

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

test("an agent connects, gets its work, and its observations arrive with their facts", async (t) => {
  const state = new HandState();
  state.add([BESIDE, "192.0.2.1:80"]);
  const { address, fleet, heard } = await startCoordinator(t, { state });
  const { schedule } = await startAgent(t, { coordinators: [address] });

  await until(() => schedule.assigned.length === 1, "one node is assigned");
  schedule.pass([BESIDE]);
  schedule.pass([BESIDE]);
  await until(() => heard.reports.length === 2, "both reports arrive");

  assert.deepEqual(schedule.assigned, [
    { node: { cluster: "web", addr: BESIDE }, epoch: 2, clusterType: "tcp", checks: [TCP_CHECK] },
  ]);
  assert.deepEqual(heard.numbers(BESIDE), [1, 2]);
  for (const { observation, takenAtMs } of heard.reports) {
    assert.deepEqual(observation, { outcome: "passed", latencyMs: 1, facts: { role: "primary" } });
    assert.ok(Math.abs(performance.now() - takenAtMs) < 5_000);
  }
  assert.equal(fleet.agentBeside({ cluster: "web", addr: BESIDE }), "a1");
  assert.equal(fleet.agentBeside({ cluster: "web", addr: "192.0.2.1:80" }), null);
  assert.deepEqual(heard.events, ["found a1"]);
});

test("changes of nodes and checks reach the agent as differences, and no change sends nothing", async (t) => {
  const state = new HandState();
  state.add([BESIDE]);
  const { address } = await startCoordinator(t, { state });
  const { schedule } = await startAgent(t, { coordinators: [address] });
  await until(() => schedule.assigned.length === 1, "the first assignment");
  const first = schedule.assigned[0];

  state.announce();
  state.add(["127.0.0.1:7002"]);
  await until(() => schedule.assigned.length === 2, "the second node");

  assert.equal(schedule.assigned[0], first, "the first node was not sent again");
  assert.equal(schedule.assignments.at(-2)?.length, 1);
  state.checks = [{ ...TCP_CHECK, fall: 5 }];
  state.remove(BESIDE);
  await until(() => schedule.assigned.length === 1, "the first node is gone");
  assert.equal(schedule.assigned[0]?.checks[0]?.fall, 5);
  assert.equal(schedule.assigned[0]?.node.addr, "127.0.0.1:7002");
});

test("when a coordinator is killed and returns, nothing is lost, nothing comes twice, and the order is kept", async (t) => {
  const state = new HandState();
  state.add([BESIDE]);
  const heard = new Heard();
  const first = await startCoordinator(t, { state, heard });
  const { schedule } = await startAgent(t, { coordinators: [first.address] });
  await until(() => schedule.assigned.length === 1, "the assignment");

  for (let count = 0; count < 50; count += 1) schedule.pass([BESIDE]);
  await until(() => heard.reports.length === 50 && heard.heartbeats > 2, "the first fifty");
  const acknowledged = heard.heartbeats;
  await until(() => heard.heartbeats > acknowledged + 1, "a receipt for them");
  await first.kill();
  for (let count = 0; count < 300; count += 1) schedule.pass([BESIDE]);
  assert.equal(schedule.assigned.length, 1, "the agent goes on checking");
  await startCoordinator(t, { state, heard, port: first.port });
  await until(() => heard.reports.length >= 350, "the other three hundred");
  schedule.pass([BESIDE]);
  await until(() => heard.reports.length >= 351, "a new one");

  assert.deepEqual(heard.numbers(BESIDE), upTo(351));
});

test("a coordinator that starts late hears first how things stand", async (t) => {
  const state = new HandState();
  state.add([BESIDE, "127.0.0.1:7002"]);
  const one = await startCoordinator(t, { state, id: "c1" });
  const two = await startCoordinator(t, { state, id: "c2" });
  const { schedule } = await startAgent(t, { coordinators: [one.address, two.address] });
  await until(() => schedule.assigned.length === 2, "the assignment");
  for (let count = 0; count < 20; count += 1) schedule.pass([BESIDE, "127.0.0.1:7002"]);
  await until(() => two.heard.reports.length === 40 && two.heard.heartbeats > 1, "both hear everything");
  const beats = two.heard.heartbeats;
  await until(() => two.heard.heartbeats > beats + 1, "receipts are back");

  await two.kill();
  const again = await startCoordinator(t, { state, id: "c2", port: two.port });
  await until(() => again.heard.reports.length >= 2, "the state of both nodes");

  assert.deepEqual([again.heard.numbers(BESIDE), again.heard.numbers("127.0.0.1:7002")], [[20], [20]]);
  assert.deepEqual(one.heard.numbers(BESIDE), upTo(20));
});

test("an agent goes on checking with its last assignment after a restart without any coordinator", async (t) => {
  const state = new HandState();
  state.add([BESIDE]);
  const stateDir = await temporaryFolder(t);
  const coordinator = await startCoordinator(t, { state });
  const before = await startAgent(t, { coordinators: [coordinator.address], config: { stateDir } });
  await until(() => before.schedule.assigned.length === 1, "the assignment");
  await before.stop();
  await coordinator.kill();

  const after = await startAgent(t, { coordinators: [coordinator.address], config: { stateDir } });

  assert.deepEqual(
    after.schedule.assigned.map(({ node }) => node.addr),
    [BESIDE],
  );
  const status = await readStatus(stateDir);
  assert.equal(status.clusterId, "cluster-1");
  assert.equal(status.nodes, 1);
  await until(() => status.streams.length === 1, "a stream");
});

test("a thousand nodes are assigned at once and reported without loss", async (t) => {
  const state = new HandState();
  const addrs = Array.from({ length: 1_000 }, (_, at) => `127.0.0.1:${10_000 + at}`);
  state.add(addrs);
  const { address, heard } = await startCoordinator(t, { state });
  const { schedule } = await startAgent(t, { coordinators: [address] });

  await until(() => schedule.assigned.length === 1_000, "all nodes");
  for (let round = 0; round < 8; round += 1) schedule.pass(addrs);
  await until(() => heard.reports.length >= 8_000, "all reports", 20_000);

  assert.equal(heard.reports.length, 8_000);
  assert.deepEqual(heard.numbers("127.0.0.1:10999"), upTo(8));
});

test("an agent says that it stops, and its coordinator says that it lost it", async (t) => {
  const state = new HandState();
  const { address, fleet, heard } = await startCoordinator(t, { state });
  const agent = await startAgent(t, { coordinators: [address] });
  await until(() => heard.events.length === 1, "found");

  await agent.stop();
  await until(() => heard.events.length === 2, "lost");

  assert.deepEqual(heard.events, ["found a1", "lost a1: the agent stopped"]);
  assert.equal(fleet.sessions()[0]?.isConnected, false);
  assert.equal(fleet.sessions()[0]?.lostCause, "the agent stopped");
});

test("probes reach the agent, and its self-doubt reaches the coordinator", async (t) => {
  const state = new HandState();
  const { address, fleet, heard } = await startCoordinator(t, { state });
  const { schedule } = await startAgent(t, { coordinators: [address] });
  await until(() => heard.events.length === 1, "found");
  schedule.doubt = { level: 3, cause: "the event loop is slow", loopDelayP99Ms: 80, cpuPressure: 40 };

  fleet.probe(
    "a1",
    { node: { cluster: "web", addr: "192.0.2.7:80" }, epoch: 1, clusterType: "tcp", checks: [TCP_CHECK] },
    2_000,
  );
  fleet.probe(
    "nobody",
    { node: { cluster: "web", addr: "x:1" }, epoch: 1, clusterType: "tcp", checks: [] },
    1,
  );

  await until(() => schedule.probed.length === 1, "the probe");
  await until(() => fleet.sessions()[0]?.selfDoubt.level === 3, "the doubt");
  assert.deepEqual(schedule.probed, ["192.0.2.7:80"]);
  assert.deepEqual(fleet.sessions()[0]?.selfDoubt, schedule.doubt);
});

test("bundles reach declared proxies only, and an older order after a newer one is refused", async (t) => {
  const state = new HandState();
  const { address, fleet, heard } = await startCoordinator(t, { state });
  const applied: string[] = [];
  await startAgent(t, {
    coordinators: [address],
    config: { proxies: { web: {} as ProxyTargetConfig } },
    createApplier: () => ({
      apply: async (bundle): Promise<ApplyOutcome> => {
        applied.push(bundle.generation);
        return {
          balancer: bundle.balancer,
          wantedGeneration: bundle.generation,
          appliedGeneration: bundle.generation,
          observedGeneration: bundle.generation,
          error: "",
          warnings: [],
          method: "reload",
          durationMs: 1,
          fencing: bundle.fencing,
        };
      },
      observe: async () => ({ appliedGeneration: "g0", observedGeneration: "g0", error: "" }),
    }),
  });
  const bundle = (balancer: string, generation: string, index: number): Bundle => ({
    balancer,
    kind: "haproxy",
    generation,
    files: [{ role: "config", text: `# ${generation} 🦆\n` }],
    fencing: { term: 1, index },
    isUrgent: false,
  });
  await until(() => heard.events.length === 2, "found, with what the proxy holds");

  assert.equal(fleet.apply("a1", bundle("web", "g2", 9)), true);
  await until(() => heard.events.length === 3, "g2 applied");
  fleet.apply("a1", bundle("web", "g1", 8));
  await until(() => heard.events.length === 4, "g1 refused");
  fleet.apply("a1", bundle("other", "g3", 10));
  await until(() => heard.events.length === 5, "other refused");

  assert.deepEqual(applied, ["g2"]);
  assert.deepEqual(heard.events.slice(0, 3), ["found a1", "a1 unchanged web g0", "a1 reload web g2"]);
  assert.match(
    heard.events[3] ?? "",
    /a1 refused web g2 .*ordered at term 1, index 8.*newer one at term 1, index 9/,
  );
  assert.match(heard.events[4] ?? "", /a1 refused other .*declares no proxy for balancer "other"/);
  assert.equal(fleet.apply("a9", bundle("web", "g4", 11)), false);
});

test("declared nodes are told to the composition root, canonical and at every hello", async (t) => {
  const state = new HandState();
  const { address, fleet, heard } = await startCoordinator(t, { state });
  const node = {
    cluster: "web",
    addr: "10.9.8.7:80",
    attributes: { weight: 2 },
    isDisabled: false,
    isSpare: false,
  };
  await startAgent(t, { coordinators: [address], config: { nodes: [node] } });

  await until(() => heard.declared.length === 1, "the declaration");

  const declared = [{ cluster: "web", addr: "10.9.8.7:80", attributes: { weight: 2 } }];
  assert.deepEqual(heard.declared, [{ agentId: "a1", nodes: declared }]);
  assert.deepEqual(fleet.declarations(), new Map([["a1", declared]]));
});

test("an agent of another cluster is refused without being taken for found or lost, and keeps its work", async (t) => {
  const state = new HandState();
  state.add([BESIDE]);
  const foreign = new HandState();
  foreign.clusterId = "cluster-2";
  const ours = await startCoordinator(t, { state });
  const theirs = await startCoordinator(t, { state: foreign, id: "x1" });
  const { schedule, config } = await startAgent(t, { coordinators: [ours.address] });
  await until(() => schedule.assigned.length === 1, "the assignment");
  const { stateDir } = config;
  const kept = `${stateDir}/assignment.json`;
  await until(
    () => existsSync(kept) && readFileSync(kept, "utf8").includes(BESIDE),
    "the assignment is kept",
  );

  const second = await startAgent(t, {
    coordinators: [theirs.address],
    config: { id: "a2", stateDir: await copyState(t, stateDir) },
  });
  const streamOf = async () => (await readStatus(second.config.stateDir)).streams[0];
  while ((await streamOf())?.state !== "refused") await delay(10, undefined, { signal: t.signal });

  assert.equal(second.schedule.assigned.length, 1);
  assert.match(
    (await streamOf())?.error ?? "",
    /"x1" belongs to cluster cluster-2, agent "a2" to "cluster-1"/,
  );
  assert.deepEqual(theirs.heard.events, []);
  await assert.rejects(converse(theirs.address, [hello("a3", { clusterId: "cluster-1" })]), {
    code: "CONFLICT",
    hint: /stop it, remove its state_dir and start it again/,
  });
});

test("garbage from a peer ends its stream with words and disturbs nobody else", async (t) => {
  const state = new HandState();
  state.add([BESIDE]);
  const { address, heard } = await startCoordinator(t, { state, tuning: { helloTimeoutMs: 300 } });
  const { schedule } = await startAgent(t, { coordinators: [address] });
  await until(() => schedule.assigned.length === 1, "the good agent works");
  const good = hello("b1");

  const cases: readonly (readonly [Request[], RegExp])[] = [
    [[{ message: { case: "heartbeat", value: {} } }], /first message is heartbeat, expected hello/],
    [[{ message: { case: undefined } }], /first message is empty, expected hello/],
    [[], /No hello within 300 ms/],
    [[hello("a b")], /id is "a b", expected/],
    [[hello("b1", { version: "9.0.0" })], /"9\.0\.0", this coordinator 1\.0\.0/],
    [[hello("b1", { nodes: [{ node: { cluster: "web", addr: "nowhere" } }] })], /Invalid address "nowhere"/],
    [[good, good], /second hello/],
    [
      [good, { message: { case: "observations", value: { sequence: 1n, observations: [{ check: "x" }] } } }],
      /node is missing/,
    ],
    [[good, { message: { case: "applied", value: { balancer: "web", method: "magic" } } }], /method "magic"/],
  ];
  for (const [messages, expected] of cases) {
    await assert.rejects(converse(address, messages), expected);
  }

  schedule.pass([BESIDE]);
  await until(() => heard.numbers(BESIDE).length === 1, "the good agent still reports");
});

test("a second agent with the same id is refused on another host, and takes over on the same one", async (t) => {
  const state = new HandState();
  const { address, heard } = await startCoordinator(t, { state });
  await startAgent(t, { coordinators: [address] });
  await until(() => heard.events.length === 1, "found");

  await assert.rejects(converse(address, [hello("a1", { bootId: "other", networkIdentity: "elsewhere" })]), {
    code: "CONFLICT",
    message: /Agent id "a1" is in use by host/,
    hint: /own id/,
  });

  const first = converse(address, [hello("d1", { bootId: "boot-1" })]);
  const firstEnds = assert.rejects(first, { code: "CONFLICT", message: /newer stream/ });
  await until(() => heard.events.includes("found d1"), "the first boot");
  const second = converse(
    address,
    [hello("d1", { bootId: "boot-2" })],
    (response) => response.message.case === "welcome",
  );
  await Promise.all([firstEnds, second]);
  assert.equal(heard.events.filter((event) => event === "found d1").length, 2);
  assert.equal(
    heard.events.some((event) => event.startsWith("lost a1")),
    false,
  );
});

test("an agent that does not read costs the coordinator no memory, and the others no time", async (t) => {
  const state = new HandState();
  const addrs = Array.from({ length: 1_000 }, (_, at) => `127.0.0.1:${10_000 + at}`);
  const { address, heard, fleet } = await startCoordinator(t, { state });
  const client = createGrpcClient(AgentService, address);
  atEnd(t, () => client.close());
  const silent = client.call.connect(lines([hello("slow")]));
  await silent[Symbol.asyncIterator]().next();
  await until(() => heard.events.includes("found slow"), "found");
  const beforeBytes = process.memoryUsage().heapUsed;

  // Each round changes what the slow one should check: 1,000 nodes, some 100 kB.
  for (let round = 0; round < 200; round += 1) {
    state.checks = [{ ...TCP_CHECK, timeoutMs: 1_000 + round }];
    state.add(addrs, "slow");
    fleet.probe(
      "slow",
      { node: { cluster: "web", addr: `n:${(round % 9) + 1}` }, epoch: 1, clusterType: "tcp", checks: [] },
      1,
    );
    await new Promise((resolve) => setImmediate(resolve));
  }

  const grownMiB = (process.memoryUsage().heapUsed - beforeBytes) / 1_048_576;
  assert.ok(grownMiB < 60, `the heap grew by ${grownMiB.toFixed(1)} MiB for one agent that does not read`);
  const { schedule } = await startAgent(t, { coordinators: [address] });
  await until(() => heard.events.includes("found a1"), "another agent");
  schedule.pass([BESIDE]);
  await until(() => heard.numbers(BESIDE).length === 1, "its report");
});

function hello(agentId: string, more: MessageInitShape<typeof HelloSchema> = {}): Request {
  const value = { agentId, bootId: "boot", host: "h", version: "1.0.0", networkIdentity: "here", ...more };
  return create(ConnectRequestSchema, {
    message: { case: "hello", value: value as MessageInitShape<typeof HelloSchema> },
  });
}

/** Sends and reads until the server ends the stream or `isEnough`. */
async function converse(
  address: string,
  messages: readonly Request[],
  isEnough: (response: ConnectResponse) => boolean = () => false,
): Promise<void> {
  const client = createGrpcClient(AgentService, address);
  try {
    for await (const response of client.call.connect(lines(messages))) {
      if (isEnough(response)) return;
    }
  } finally {
    client.close();
  }
}

/** Sends what it is given, then stays silent. */
async function* lines(messages: readonly Request[]): AsyncGenerator<Request> {
  yield* messages;
  await once(new EventTarget(), "never");
}

async function copyState(t: TestContext, from: string): Promise<string> {
  const to = await temporaryFolder(t);
  await cp(`${from}/assignment.json`, `${to}/assignment.json`);
  return to;
}

test("a new configuration is told on a second stream: nobody is lost, and what was counted stays", async (t) => {
  const state = new HandState();
  state.add([BESIDE]);
  const { address, fleet, heard } = await startCoordinator(t, { state });
  const { config, schedule, running } = await startAgent(t, { coordinators: [address] });
  await until(() => schedule.assigned.length === 1, "the assignment");
  schedule.pass([BESIDE]);
  await until(() => heard.reports.length === 1, "the first report");
  const bootId = fleet.sessions()[0]?.bootId;
  const node = { cluster: "web", addr: "10.9.8.7:80", attributes: {}, isDisabled: false, isSpare: true };

  const isTaken = running.reconfigure({ ...config, zone: "z2", nodes: [node] });
  await until(() => fleet.sessions()[0]?.zone === "z2", "the new zone");
  schedule.pass([BESIDE]);
  await until(() => heard.reports.length === 2, "the second report");

  assert.equal(isTaken, true);
  assert.equal(fleet.sessions()[0]?.bootId, bootId);
  assert.deepEqual(heard.events, ["found a1", "found a1"]);
  assert.deepEqual(heard.numbers(BESIDE), [1, 2]);
  assert.deepEqual(heard.declared.at(-1)?.nodes, [
    { cluster: "web", addr: "10.9.8.7:80", attributes: { spare: true } },
  ]);
  assert.equal(schedule.assignments.length, 2, "assigned at the start and by the coordinator only");
  assert.equal(running.reconfigure({ ...config, id: "a2" }), false);
});

test("coordinators that a new configuration adds are connected to, and those that it drops are left", async (t) => {
  const state = new HandState();
  const one = await startCoordinator(t, { state, id: "c1" });
  const two = await startCoordinator(t, { state, id: "c2" });
  const { config, running } = await startAgent(t, { coordinators: [one.address] });
  await until(() => one.heard.events.length === 1, "the first coordinator");

  running.reconfigure({ ...config, coordinators: [two.address] });
  await until(() => two.heard.events.length === 1 && one.heard.events.length === 2, "the change");

  assert.deepEqual(two.heard.events, ["found a1"]);
  assert.match(one.heard.events[1] ?? "", /^lost a1: /);
});

test("an agent that knows one coordinator finds the others, each of them once", async (t) => {
  const state = new HandState();
  const known: { id: string; agentAddress: string }[] = [];
  const members = (): typeof known => known;
  const one = await startCoordinator(t, { state, id: "c1", members });
  const two = await startCoordinator(t, { state, id: "c2", members });
  known.push({ id: "c1", agentAddress: one.address }, { id: "c2", agentAddress: two.address });

  const { config } = await startAgent(t, { coordinators: [one.address.replace("127.0.0.1", "localhost")] });
  await until(() => two.heard.heartbeats > 3 && one.heard.heartbeats > 3, "heartbeats at both");

  const { streams } = await readStatus(config.stateDir);
  assert.deepEqual(streams.map(({ coordinator }) => coordinator).sort(), ["c1", "c2"]);
  assert.deepEqual([one.heard.events, two.heard.events], [["found a1"], ["found a1"]]);
});

test("an agent looks at its proxies by itself, and tells what somebody else changed there", async (t) => {
  const state = new HandState();
  const { address, heard } = await startCoordinator(t, { state });
  let runs = "g1";
  let looks = 0;
  await startAgent(t, {
    coordinators: [address],
    config: { proxies: { web: {} as ProxyTargetConfig } },
    observeEveryMs: 20,
    createApplier: () => ({
      apply: () => Promise.reject(new Error("Not part of this test")),
      observe: async () => {
        looks += 1;
        return { appliedGeneration: "g1", observedGeneration: runs, error: "" };
      },
    }),
  });
  await until(() => heard.events.length === 2, "found, with what the proxy holds");

  runs = "other";
  await until(() => heard.events.length === 3, "the drift");
  const looksBefore = looks;
  await until(() => looks > looksBefore + 3, "further looks, which tell nothing new");

  assert.deepEqual(heard.events, ["found a1", "a1 unchanged web g1", "a1 unchanged web g1"]);
});
