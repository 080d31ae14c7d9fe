import assert from "node:assert/strict";
import { test } from "node:test";
import type { ScheduledNode } from "../common/model/assignment.js";
import { createLogger } from "../common/logger.js";
import type { NodeRef } from "../common/model/node.js";
import type { Observation } from "../common/model/observation.js";
import { VirtualClock } from "../common/virtual-clock.js";
import { PASSED, TIMED_OUT, aCluster, aNode, aReport } from "../test/support/decision-fixtures.js";
import type { AgentSession, Fleet, FleetListener } from "./agents/fleet.js";
import { startDecisionLoop } from "./decision-loop.js";
import type { DecisionLoop } from "./decision-loop.js";
import type { AppliedEntry, Replica } from "./replica.js";
import { encodeCommand } from "./state/codec.js";
import type { Command } from "./state/commands.js";
import { StateMachine } from "./state/machine.js";

const NODE = aNode(1);
const NO_DOUBT = { level: 0, cause: "", loopDelayP99Ms: 1, cpuPressure: 0 };

/** A coordinator's parts around the loop, with the real state machine and no IO. */
class Bench {
  readonly clock = new VirtualClock();
  readonly machine = new StateMachine();
  readonly commands: Command[] = [];
  readonly probes: NodeRef[] = [];
  readonly sessions = new Map<string, AgentSession>();
  assigned: readonly ScheduledNode[] = [];
  isLeader = true;
  canReach = true;
  /** Agents that were asked to look at a node. */
  readonly asked: string[] = [];
  failures = 0;
  beside: string | null = null;
  readonly loop: DecisionLoop;
  readonly #applied = new Set<(entry: AppliedEntry) => void>();
  readonly #leading = new Set<(leadership: { leaderId: string; term: number; isLeader: boolean }) => void>();
  #listener: FleetListener = {};

  constructor() {
    this.commit({ type: "initialise", clusterId: "test" });
    const nodes = [{ addr: NODE.addr, attributes: {}, isDisabled: false, isSpare: false }];
    const config = { clusters: { web: aCluster({ nodes }) }, balancers: {} };
    this.commit({ type: "applyConfig", config, yaml: "", source: "file", fileHash: "1", ifRevision: null });
    this.loop = startDecisionLoop({
      coordinatorId: "c1",
      replica: this.#replica(),
      fleet: this.#fleet(),
      schedule: {
        assign: (assigned) => (this.assigned = assigned),
        probe: ({ node }) => void this.probes.push(node),
        selfDoubt: () => NO_DOUBT,
      },
      log: {
        leadership: () => ({ leaderId: "c1", term: 1, isLeader: this.isLeader }),
        onLeadership: (callback) => subscribe(this.#leading, callback),
        members: () => ["c1"],
      },
      clock: this.clock,
      logger: createLogger({ program: "test", write: () => undefined, isForPeople: false }),
    });
  }

  commit(command: Command): AppliedEntry {
    const index = this.machine.view.index + 1;
    const payload = encodeCommand({ atMs: this.clock.wallMs(), by: "test", command });
    const applied = this.machine.apply({ index, term: 1, payload });
    for (const callback of this.#applied) callback(applied);
    return applied;
  }

  connect(isConnected: boolean): void {
    const session: AgentSession = {
      id: "a1",
      bootId: "boot1",
      zone: "z1",
      host: "h1",
      labels: {},
      version: "1",
      networkIdentity: "here",
      isConnected,
      lostCause: isConnected ? "" : "the stream broke",
      lastHeartbeatMs: this.clock.monotonicMs(),
      selfDoubt: NO_DOUBT,
      proxies: [],
    };
    this.sessions.set("a1", session);
    this.beside = "a1";
    if (isConnected) this.#listener.onFound?.(session);
    else this.#listener.onLost?.(session, session.lostCause);
  }

  lead(isLeader: boolean): void {
    this.isLeader = isLeader;
    for (const callback of this.#leading) callback({ leaderId: "c1", term: 2, isLeader });
  }

  agentSees(observation: Observation, consecutive: number): void {
    this.#listener.onReports?.("a1", [aReport(NODE, observation, this.clock.monotonicMs(), { consecutive })]);
  }

  ownSees(observation: Observation, consecutive: number): void {
    this.loop.ownReports([aReport(NODE, observation, this.clock.monotonicMs(), { consecutive })]);
  }

  get state(): string {
    return this.machine.view.nodes.get(`web/${NODE.addr}`)?.state ?? "gone";
  }

  count(type: Command["type"]): number {
    return this.commands.filter((command) => command.type === type).length;
  }

  #replica(): Replica {
    return {
      state: this.machine.view,
      propose: async (command) => {
        this.commands.push(command);
        await this.clock.sleep(2);
        if (this.failures-- > 0) throw new Error("not now");
        const { result, position } = this.commit(command);
        return { result, position };
      },
      onApplied: (callback) => subscribe(this.#applied, callback),
      onReplaced: () => () => undefined,
      readBarrier: async () => undefined,
    };
  }

  #fleet(): Fleet {
    return {
      sessions: () => [...this.sessions.values()],
      agentBeside: () => this.beside,
      canReach: () => this.canReach,
      peersOf: () => [...this.sessions.values()].filter(({ id }) => id !== this.beside),
      probe: (agent) => void this.asked.push(agent),
      apply: () => false,
      listen: (listener) => {
        this.#listener = listener;
        return () => (this.#listener = {});
      },
    };
  }
}

function subscribe<Callback>(set: Set<Callback>, callback: Callback): () => void {
  set.add(callback);
  return () => void set.delete(callback);
}

/** Passes once a second until the node is healthy and the first round is over. */
async function settled(
  bench: Bench,
  see: (observation: Observation, consecutive: number) => void,
): Promise<void> {
  for (let look = 1; look <= 8; look++) {
    see(PASSED, look);
    await bench.clock.advance(1_000);
  }
  assert.equal(bench.state, "healthy");
}

test("the coordinator looks after a node that has no agent, and commits what it sees", async () => {
  const bench = new Bench();
  await bench.clock.advance(10);
  assert.deepEqual(
    bench.assigned.map(({ node }) => node),
    [NODE],
  );
  await settled(bench, (observation, consecutive) => bench.ownSees(observation, consecutive));

  for (const consecutive of [1, 2, 3]) bench.ownSees(TIMED_OUT, consecutive);
  await bench.clock.advance(20);

  assert.equal(bench.state, "down");
  assert.equal(bench.machine.view.cuts.at(-1)?.transitions[0]?.ballots[0]?.voter, "c1");
  assert.deepEqual(bench.loop.explain(NODE)?.hold, "");
  assert.equal(bench.loop.evidenceOf(NODE)[0]?.observer, "coordinator:c1");
  bench.loop.close();
  assert.equal(bench.clock.pendingTimers, 0);
});

test("beside an agent it looks only when there is doubt, and goes on while the node is not well", async () => {
  const bench = new Bench();
  bench.connect(true);
  await settled(bench, (observation, consecutive) => bench.agentSees(observation, consecutive));
  assert.deepEqual(bench.assigned, []);
  assert.deepEqual(bench.probes, []);

  bench.agentSees(TIMED_OUT, 1);
  await bench.clock.advance(2);
  assert.deepEqual(bench.probes, [NODE]);
  for (const consecutive of [2, 3]) bench.agentSees(TIMED_OUT, consecutive);
  await bench.clock.advance(50);
  assert.match(bench.loop.holdOf(NODE), /waiting for the coordinator's own probe \(0 of 3\)/);
  for (const consecutive of [1, 2, 3]) bench.ownSees(TIMED_OUT, consecutive);
  await bench.clock.advance(20);

  assert.equal(bench.state, "down");
  assert.deepEqual(
    bench.assigned.map(({ node }) => node),
    [NODE],
  );
  bench.loop.close();
});

test("a lost agent is committed after the grace, its nodes are looked after and keep their state", async () => {
  const bench = new Bench();
  bench.connect(true);
  await settled(bench, (observation, consecutive) => bench.agentSees(observation, consecutive));
  assert.equal(bench.machine.view.agents.get("a1")?.state, "connected");

  bench.connect(false);
  await bench.clock.advance(100);
  assert.deepEqual(
    bench.assigned.map(({ node }) => node),
    [NODE],
  );
  for (let look = 1; look <= 5; look++) {
    bench.ownSees(PASSED, look);
    await bench.clock.advance(1_000);
  }

  assert.equal(bench.machine.view.agents.get("a1")?.state, "lost");
  assert.equal(bench.count("agentLost"), 1);
  assert.equal(bench.state, "healthy");
  assert.equal(bench.count("cut"), 1);
  bench.loop.close();
});

test("overlays end by themselves", async () => {
  const bench = new Bench();
  const untilMs = bench.clock.wallMs() + 3_000;
  bench.commit({ type: "setOverlay", node: NODE, overlay: { kind: "drain", reason: "", untilMs } });

  await bench.clock.advance(2_900);
  assert.equal(bench.count("setOverlay"), 0);
  await bench.clock.advance(1_500);

  assert.equal(bench.count("setOverlay"), 1);
  assert.equal(bench.machine.view.nodes.get(`web/${NODE.addr}`)?.overlay, null);
  bench.loop.close();
});

test("a cut that could not be committed is proposed again, not at once", async () => {
  const bench = new Bench();
  bench.failures = 1;
  for (const consecutive of [1, 2]) bench.ownSees(PASSED, consecutive);

  await bench.clock.advance(200);
  assert.equal(bench.count("cut"), 1);
  await bench.clock.advance(300);

  assert.equal(bench.count("cut"), 2);
  assert.equal(bench.state, "healthy");
  bench.loop.close();
});

test("a follower commits nothing, and begins when it leads", async () => {
  const bench = new Bench();
  bench.lead(false);
  bench.connect(true);
  for (const consecutive of [1, 2]) bench.agentSees(PASSED, consecutive);
  await bench.clock.advance(500);
  assert.equal(bench.commands.length, 0);

  bench.lead(true);
  await bench.clock.advance(500);
  assert.deepEqual(bench.commands.map((command) => command.type).sort(), ["agentFound", "cut"]);
  bench.loop.close();
});

test("a doubted node is probed from elsewhere too, and not from here where its address means another host", async () => {
  const bench = new Bench();
  bench.connect(true);
  bench.beside = "a2";
  bench.canReach = false;
  bench.agentSees(TIMED_OUT, 1);

  await bench.clock.advance(1_000);

  assert.deepEqual(bench.probes, []);
  assert.deepEqual(bench.assigned, []);
  assert.ok(bench.asked.includes("a1"));
});
