/** The example of the original's README, run as it stands by the built programs, with a real Redis at each address. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import { createGrpcClient } from "../../common/grpc/client.js";
import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { NodeState } from "../../proto/gen/clusterduck/v1/model_pb.js";
import { canListen, freePorts } from "../support/free-port.js";
import { runProgram } from "../support/program.js";
import type { RunningProgram } from "../support/program.js";
import { startRedis } from "../support/redis-server.js";
import type { RedisServer } from "../support/redis-server.js";

/** The README's blocks one after the other, aligned as its reader has to: all but the first stand two columns too far right. */
const README = `# clusters:

my_redis_cluster:
  type: clusterduck-redis
    # List of nodes
    nodes:
      - addr: 127.0.0.1:6379
      - addr: 127.0.0.1:6380
    health_checks:
      - type: basic
        timeout: 1s
        every: 1s
        commands:
          - [ 'SET', 'x', 'y' ]
    triggers:
      - on: [ active ]
        do:
          - type: shell
            cwd: /tmp
            commands:
              - "echo $nodes_active_addrs > active_nodes.json"
`.replaceAll(/^ {4}(?=\S|  )/gm, "  ");

const README_PORTS = [6379, 6380] as const;
/** Far more than it takes: the machine that tests is busy. */
const DEADLINE_MS = 30_000;
const CLUSTER = "my_redis_cluster";

type Bench = {
  readonly file: string;
  readonly active: string;
  readonly servers: RedisServer[];
  readonly grpc: string;
  /** Runs a program that is killed, at the latest, when the test ends. */
  readonly run: (name: "duck-agent" | "duck-coordinator", args: readonly string[]) => RunningProgram;
};

test("the README's example keeps the list of active nodes as a Redis dies and comes back", async (t) => {
  const bench = await prepare(t);
  const [first, second] = addressesOf(bench);
  const program = bench.run("duck-coordinator", ["--dev", "-c", bench.file]);
  await program.event((line) => line.event === "coordinator.started");
  await listIs(bench, [first, second], program);

  const killedAtMs = performance.now();
  await bench.servers[0]?.kill("SIGKILL");
  await listIs(bench, [second], program);
  t.diagnostic(`gone from the list after ${Math.round(performance.now() - killedAtMs)} ms`);

  const returnedAtMs = performance.now();
  bench.servers[0] = await startRedis({ port: bench.servers[0]?.port ?? 0 });
  await listIs(bench, [first, second], program);
  t.diagnostic(`back in it after ${Math.round(performance.now() - returnedAtMs)} ms`);
});

test("neither a killed agent nor a killed coordinator changes a node or runs the trigger again", async (t) => {
  const bench = await prepare(t);
  const addresses = addressesOf(bench);
  let coordinator = bench.run("duck-coordinator", ["-c", bench.file]);
  await coordinator.event((line) => line.event === "coordinator.started");
  let agent = bench.run("duck-agent", ["-c", bench.file]);
  await listIs(bench, addresses, coordinator);
  const ask = control(t, bench.grpc);
  await ask.until(
    "the first run is recorded",
    async () => (await ask.runs()).at(-1)?.outcome === "succeeded",
  );
  await ask.until("the agent is connected", async () => (await ask.agentState()) === "connected");
  const before = await picture(ask, bench);

  await agent.kill();
  await ask.until("the agent is lost", async () => (await ask.agentState()) === "lost");
  assert.deepEqual(await picture(ask, bench), before, "after the agent was killed");

  agent = bench.run("duck-agent", ["-c", bench.file]);
  await ask.until("the agent is back", async () => (await ask.agentState()) === "connected");

  await coordinator.kill();
  coordinator = bench.run("duck-coordinator", ["-c", bench.file]);
  await coordinator.event((line) => line.event === "coordinator.started");
  assert.deepEqual(await picture(ask, bench), before, "right after the coordinator's restart");

  await agent.event((line) => line.event === "stream.connected" && agent.events.indexOf(line) > 0);
  await ask.until("the agent reports again", () => ask.isObservedBy("a1"));
  assert.deepEqual(await picture(ask, bench), before, "after the agent reported to the new process");
});

/** Two Redis, on the README's ports where they are free, and the README's text with a directory of its own. */
async function prepare(t: TestContext): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "duck-readme-"));
  const programs: RunningProgram[] = [];
  const servers: RedisServer[] = [];
  t.after(async () => {
    await Promise.all([
      ...programs.map((program) => program.kill()),
      ...servers.map((server) => server.stop()),
    ]);
    await rm(folder, { recursive: true, force: true, maxRetries: 20 });
  });
  const areFree = (await Promise.all(README_PORTS.map(canListen))).every((isFree) => isFree);
  const [grpc = 0, ...spare] = await freePorts(3);
  const ports = areFree ? README_PORTS : spare;
  for (const port of ports) servers.push(await startRedis({ port }));
  const text = README.replace("cwd: /tmp", `cwd: ${folder}`).replaceAll(/\b63(79|80)\b/g, (word) =>
    String(ports[README_PORTS.findIndex((port) => String(port) === word)]),
  );
  const file = join(folder, "clusterduck.yaml");
  await writeFile(
    file,
    `${text}
coordinator: { id: c1, data_dir: coordinator, listen: ${grpc}, http: off }
agent: { id: a1, coordinators: ["127.0.0.1:${grpc}"], state_dir: agent }
`,
  );
  return {
    file,
    active: join(folder, "active_nodes.json"),
    servers,
    grpc: `127.0.0.1:${grpc}`,
    run: (name, args) => {
      const program = runProgram(name, args);
      programs.push(program);
      return program;
    },
  };
}

function addressesOf({ servers }: Bench): readonly [string, string] {
  const [first, second] = servers;
  assert.ok(first !== undefined && second !== undefined);
  return [first.addr, second.addr];
}

async function listIs(bench: Bench, expected: readonly string[], program: RunningProgram): Promise<void> {
  const wanted = JSON.stringify(expected);
  let found = "";
  await eventually(
    async () => {
      found = (await readFile(bench.active, "utf8").catch(() => "no file")).trim();
      return found === wanted;
    },
    () => {
      const last = program.events.slice(-5).map((line) => JSON.stringify(line));
      return `active_nodes.json holds ${found}, not ${wanted}\n${program.text()}${last.join("\n")}`;
    },
  );
}

type Ask = ReturnType<typeof control>;

function control(t: TestContext, address: string) {
  const client = createGrpcClient(ControlService, address);
  t.after(() => client.close());
  const runs = async () => (await client.call.listRuns({ cluster: CLUSTER })).runs;
  return {
    runs,
    nodes: async () => (await client.call.listNodes({ cluster: CLUSTER })).nodes,
    agentState: async () =>
      (await client.call.listAgents({})).agents.find(({ id }) => id === "a1")?.state ?? "",
    isObservedBy: async (observer: string) => {
      const { checks } = await client.call.listChecks({ cluster: CLUSTER });
      return (
        checks.length > 0 &&
        checks.every((check) => check.observers.some((each) => each.observer === observer))
      );
    },
    until: (what: string, holds: () => Promise<boolean>) =>
      eventually(
        () => holds().catch(() => false),
        () => `not within ${DEADLINE_MS} ms: ${what}`,
      ),
  };
}

/** What must stay as it is: which nodes are out, what ran, and the file that the trigger writes. */
async function picture(ask: Ask, bench: Bench): Promise<unknown> {
  const nodes = await ask.nodes();
  return {
    // "Unknown" is no change: an overloaded observer abstains, and its nodes are held as they were.
    nodes: nodes.map(({ addr, state }) => [addr, state === NodeState.DOWN || state === NodeState.DEGRADED]),
    runs: (await ask.runs()).map(({ id, outcome }) => [id, outcome]),
    writtenAtMs: (await stat(bench.active)).mtimeMs,
  };
}

async function eventually(holds: () => Promise<boolean>, describe: () => string): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(describe());
    await delay(25);
  }
}
