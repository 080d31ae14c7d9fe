import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { systemClock } from "../../common/clock.js";
import type { Clock } from "../../common/clock.js";
import type { ActionConfig } from "../../common/config/model.js";
import { ClusterduckError } from "../../common/errors.js";
import { silentLogger } from "../../common/logger.js";
import { clusterOf, nodeOf, triggerOf } from "../../test/support/cluster-config.js";
import { machineReplica } from "../../test/support/machine-replica.js";
import { until } from "../../test/support/until.js";
import { leaderClock } from "../leader-clock.js";
import type { Replica } from "../replica.js";
import type { RunRecord } from "../state/model.js";
import { startTriggerRunner } from "./runner.js";
import type { TriggerRunner, TriggerRunnerOptions } from "./runner.js";

const OWNER = "coordinator:c1#b1";
const A = "10.0.0.1:80";
const B = "10.0.0.2:80";

test("a command runs once per change, with the seed's variables, and its run is a record", async (t) => {
  const bed = await bench(t);
  const { lines, replica, command } = bed;
  await configure(replica, { command: `${command} $CLUSTER $nodes_active_addrs $nodes_active_count` });
  run(t, bed);

  await cut(replica, A, "unknown", "healthy");
  await until(() => finished(replica).length === 1, "the first run");
  await cut(replica, B, "unknown", "healthy");
  await until(() => finished(replica).length === 2, "the second run");

  assert.deepEqual(await lines(), [`web ["${A}"] 1`, `web ["${A}","${B}"] 2`]);
  assert.deepEqual(
    finished(replica).map(({ outcome, exitCode, attempts }) => ({ outcome, exitCode, attempts })),
    [
      { outcome: "succeeded", exitCode: 0, attempts: 1 },
      { outcome: "succeeded", exitCode: 0, attempts: 1 },
    ],
  );
});

test("a command that fails is tried again as often as asked, and its last words are kept", async (t) => {
  const bed = await bench(t);
  const { replica } = bed;
  await configure(replica, { command: "echo no space >&2; exit 3", retries: 1 });
  run(t, bed);

  await cut(replica, A, "unknown", "healthy");
  await until(() => finished(replica).length === 1, "the last attempt");

  const [record] = finished(replica);
  assert.deepEqual(
    [record?.outcome, record?.attempts, record?.exitCode, record?.outputTail.trim()],
    ["failed", 2, 3, "no space"],
  );
});

test("a run whose coordinator died under it is recorded as failed and not executed again", async (t) => {
  const bed = await bench(t);
  const { replica, command, lines } = bed;
  await configure(replica, { command: `${command} again` });
  await cut(replica, A, "unknown", "healthy");
  const [id = ""] = [...replica.state.runs.keys()];
  await replica.propose({ type: "startRun", runId: id }, "a coordinator that died");

  run(t, bed);
  await until(() => finished(replica).length === 1, "the record");

  assert.equal(finished(replica)[0]?.outcome, "failed");
  assert.match(finished(replica)[0]?.error ?? "", /ended before it could record/);
  assert.deepEqual(await lines(), []);
});

test("how a run ended is recorded as soon as that is possible, and its command runs once", async (t) => {
  const bed = await bench(t);
  const { replica, command, lines } = bed;
  await configure(replica, { command: `${command} ran` });
  let refusals = 0;
  const propose: Replica["propose"] = async (wish, by) => {
    if (wish.type === "finishRun" && refusals++ < 2) {
      throw new ClusterduckError(refusals === 1 ? "NOT_LEADER" : "UNREACHABLE", "not now");
    }
    return replica.propose(wish, by);
  };
  run(t, { ...bed, replica: withPropose(replica, propose) });

  await cut(replica, A, "unknown", "healthy");
  await until(() => finished(replica).length === 1, "the record");

  assert.equal(refusals, 3);
  assert.deepEqual(await lines(), ["ran"]);
  assert.equal(finished(replica)[0]?.outcome, "succeeded");
});

test("a run whose start was committed though nobody said so is executed, once", async (t) => {
  const bed = await bench(t);
  const { replica, command, lines } = bed;
  await configure(replica, { command: `${command} ran` });
  let starts = 0;
  const propose: Replica["propose"] = async (wish, by) => {
    const answer = await replica.propose(wish, by);
    if (wish.type === "startRun" && starts++ === 0) throw new ClusterduckError("UNREACHABLE", "no answer");
    return answer;
  };
  run(t, { ...bed, replica: withPropose(replica, propose) });

  await cut(replica, A, "unknown", "healthy");
  await until(() => finished(replica).length === 1, "the record");

  assert.deepEqual(await lines(), ["ran"]);
  assert.deepEqual([finished(replica)[0]?.outcome, finished(replica)[0]?.attempts], ["succeeded", 1]);
});

test("a follower starts nothing, and records how a run of its earlier life ended", async (t) => {
  const bed = await bench(t);
  const { replica, command, lines } = bed;
  await configure(replica, { command: `${command} again` });
  await cut(replica, A, "unknown", "healthy");
  const [id = ""] = [...replica.state.runs.keys()];
  await replica.propose({ type: "startRun", runId: id, limitMs: 20_000 }, "coordinator:c1#earlier");
  await cut(replica, B, "unknown", "healthy");

  run(t, bed, systemClock, { isLeader: () => false });
  await until(() => finished(replica).length === 1, "the record");

  assert.match(finished(replica)[0]?.error ?? "", /ended before it could record/);
  assert.deepEqual(
    [...replica.state.runs.values()].map(({ outcome }) => outcome),
    ["failed", "pending"],
  );
  assert.deepEqual(await lines(), []);
});

test("what an attempt of before says about its end does not end the one that is under way", async (t) => {
  const { replica } = await bench(t);
  await configure(replica, { command: "true", retries: 1 });
  await cut(replica, A, "unknown", "healthy");
  const [id = ""] = [...replica.state.runs.keys()];
  await replica.propose({ type: "startRun", runId: id }, "coordinator:c2#b");
  const end = { exitCode: 0, signal: null, outputTail: "", error: "", isSuccess: true, retryAtMs: null };
  await replica.propose({ type: "finishRun", runId: id, ...end, isSuccess: false, retryAtMs: 0 }, "test");
  await replica.propose({ type: "startRun", runId: id }, "coordinator:c3#b");

  const late = await replica.propose(
    { type: "finishRun", runId: id, attempt: 1, ...end },
    "coordinator:c2#b",
  );

  assert.equal(late.result.isAccepted, false);
  assert.equal(replica.state.runs.get(id)?.outcome, "started");
});

test("a coordinator that stops does not wait for a tier that cannot record", async (t) => {
  const bed = await bench(t);
  const { replica } = bed;
  await configure(replica, { command: "true" });
  let isAsked = false;
  const propose: Replica["propose"] = async (wish, by) => {
    if (wish.type !== "finishRun") return replica.propose(wish, by);
    isAsked = true;
    throw new ClusterduckError("NOT_LEADER", "no leader");
  };
  const runner = run(t, { ...bed, replica: withPropose(replica, propose) });
  await cut(replica, A, "unknown", "healthy");
  await until(() => isAsked, "it is asked to record");

  const startedAtMs = performance.now();
  await runner.stop(0);

  assert.ok(performance.now() - startedAtMs < 10_000);
  assert.equal([...replica.state.runs.values()][0]?.outcome, "started", "the next life records it");
});

test("events within the throttle share one run, which sees the last of them", async (t) => {
  const bed = await bench(t);
  const { replica, command, lines } = bed;
  let passedMs = 0;
  const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + passedMs };
  await configure(replica, { command: `${command} $nodes_active_count`, throttleMs: 60_000 });
  const runner = run(t, bed, clock);
  await cut(replica, A, "unknown", "healthy");
  await until(() => finished(replica).length === 1, "the first run");

  await cut(replica, A, "healthy", "down");
  await cut(replica, B, "unknown", "healthy");
  await cut(replica, A, "down", "healthy");
  const [first, second, ...more] = replica.state.runs.values();
  assert.equal(second?.outcome, "pending");
  assert.ok(second.notBeforeMs - (first?.createdAtMs ?? Infinity) >= 60_000);
  assert.deepEqual(more, []);
  passedMs = 60_000;
  runner.wake();

  await until(() => finished(replica).length === 2, "the run for the other three");
  assert.deepEqual(await lines(), ["1", "2"]);
});

test("a host's clock that is set back an hour holds no run up", async (t) => {
  const bed = await bench(t);
  const { replica, command, lines } = bed;
  let stepMs = 0;
  const host: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + stepMs };
  await configure(replica, { command: `${command} ran` });
  run(
    t,
    bed,
    leaderClock(host, () => replica.state.atMs),
  );

  stepMs = -3_600_000;
  await cut(replica, A, "unknown", "healthy");
  await until(() => finished(replica).length === 1, "the run");

  assert.deepEqual(await lines(), ["ran"]);
});

type Bench = Awaited<ReturnType<typeof bench>>;

async function bench(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), "clusterduck-triggers-"));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, "out");
  const command = `f() { echo "$*" >> ${path}; }; f`;
  const lines = async (): Promise<readonly string[]> => {
    const text = await readFile(path, "utf8").catch(() => "");
    return text.split("\n").filter((line) => line !== "");
  };
  return { replica: machineReplica(systemClock), command, lines, dir: join(dir, "runs") };
}

function run(
  t: TestContext,
  { replica, dir }: Pick<Bench, "replica" | "dir">,
  clock: Clock = systemClock,
  more: Partial<TriggerRunnerOptions> = {},
): TriggerRunner {
  const env = { PATH: process.env["PATH"] };
  const runner = startTriggerRunner({
    replica,
    isLeader: () => true,
    owner: OWNER,
    clock,
    logger: silentLogger,
    env,
    dir,
    ...more,
  });
  t.after(() => runner.stop(0));
  return runner;
}

/** The replica with another way to propose; its state stays live. */
function withPropose(replica: Replica, propose: Replica["propose"]): Replica {
  return {
    get state() {
      return replica.state;
    },
    onApplied: (callback) => replica.onApplied(callback),
    onReplaced: (callback) => replica.onReplaced(callback),
    readBarrier: () => replica.readBarrier(),
    propose,
  };
}

async function configure(
  replica: Bench["replica"],
  wish: { readonly command: string; readonly retries?: number; readonly throttleMs?: number },
): Promise<void> {
  const action: ActionConfig = {
    type: "shell",
    commands: [wish.command],
    cwd: null,
    env: {},
    inheritEnv: false,
    timeoutMs: 10_000,
    user: null,
    retries: wish.retries ?? 0,
  };
  const trigger = { ...triggerOf("t", ["active"], wish.throttleMs ?? 0), actions: [action] };
  const web = clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B)], triggers: [trigger] });
  const config = { clusters: { web }, balancers: {} };
  const yaml = JSON.stringify(config);
  await replica.propose(
    { type: "applyConfig", config, yaml, source: "api", fileHash: "", ifRevision: null },
    "test",
  );
}

async function cut(
  replica: Bench["replica"],
  addr: string,
  from: "unknown" | "healthy" | "down",
  to: "healthy" | "down",
): Promise<void> {
  const node = { cluster: "web", addr };
  const epoch = replica.state.nodes.get(`web/${addr}`)?.epoch ?? 0;
  const transition = { node, epoch, from, to, cause: "test", isConclusive: false, ballots: [] };
  await replica.propose({ type: "cut", transitions: [transition] }, "test");
}

function finished(replica: Bench["replica"]): readonly RunRecord[] {
  return [...replica.state.runs.values()].filter(
    ({ outcome }) => outcome === "succeeded" || outcome === "failed",
  );
}
