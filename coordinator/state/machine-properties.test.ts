import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterConfig } from "../../common/config/model.js";
import type { LogEntry } from "../log/replicated-log.js";
import type { NodeState, OverlayKind } from "../../common/model/node.js";
import { clusterOf, nodeOf, triggerOf } from "../../test/support/cluster-config.js";
import { decodeCommand, encodeCommand } from "./codec.js";
import type { Command, CommandResult } from "./commands.js";
import { StateMachine } from "./machine.js";
import { activeAddrs } from "./state.js";
import { fc, runs } from "../../test/support/properties.js";

const ADDRS = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"] as const;
const STATES: readonly NodeState[] = ["unknown", "healthy", "degraded", "down"];
const CLUSTERS = ["web", "db"] as const;

/** A command before the state that it needs (epochs, run ids) is known. */
type Draft = (machine: StateMachine) => Command;

const clusterName = fc.constantFrom(...CLUSTERS);
const addr = fc.constantFrom(...ADDRS);

const cluster: fc.Arbitrary<ClusterConfig> = fc
  .record({
    name: clusterName,
    nodes: fc.subarray([...ADDRS]),
    isSpare: fc.boolean(),
    weight: fc.integer({ min: 1, max: 2 }),
    minActiveNodes: fc.integer({ min: 0, max: 2 }),
    throttleMs: fc.constantFrom(0, 5_000),
    passes: fc.boolean(),
  })
  .map((wish) =>
    clusterOf({
      name: wish.name,
      nodes: wish.nodes.map((each, at) =>
        nodeOf(each, { isSpare: wish.isSpare && at === 0, attributes: { weight: wish.weight } }),
      ),
      minActiveNodes: wish.minActiveNodes,
      triggers: [triggerOf("t", ["active", "nodes"], wish.throttleMs), triggerOf("s", ["state"])],
      ...(wish.passes ? { checks: [], passWithoutChecks: true } : {}),
    }),
  );

const draft: fc.Arbitrary<Draft> = fc.oneof(
  fc
    .tuple(fc.array(cluster, { maxLength: 2 }), fc.constantFrom("file" as const, "api" as const))
    .map(([clusters, source]): Draft => () => {
      const config = {
        clusters: Object.fromEntries(clusters.map((each) => [each.name, each])),
        balancers: {},
      };
      const yaml = JSON.stringify(config);
      return { type: "applyConfig", config, yaml, source, fileHash: yaml, ifRevision: null };
    }),
  fc.tuple(clusterName, addr).map(([name, each]): Draft => () => {
    return { type: "addNode", node: { cluster: name, addr: each }, attributes: {}, isIdempotent: true };
  }),
  fc.tuple(clusterName, addr).map(([name, each]): Draft => () => {
    return { type: "removeNode", node: { cluster: name, addr: each }, reason: "" };
  }),
  fc.tuple(clusterName, fc.subarray([...ADDRS])).map(([name, addrs]): Draft => () => {
    const nodes = addrs.map((each) => ({ cluster: name, addr: each, attributes: {} }));
    return { type: "declareNodes", agentId: "a1", nodes };
  }),
  fc
    .tuple(clusterName, addr, fc.constantFrom<OverlayKind | null>("drain", "spare", null))
    .map(([name, each, kind]): Draft => () => {
      const overlay = kind === null ? null : { kind, reason: "r", untilMs: null };
      return { type: "setOverlay", node: { cluster: name, addr: each }, overlay };
    }),
  {
    weight: 5,
    arbitrary: fc
      .array(fc.tuple(clusterName, addr, fc.constantFrom(...STATES), fc.boolean()), {
        minLength: 1,
        maxLength: 5,
      })
      .map((changes): Draft => (machine) => ({
        type: "cut",
        transitions: changes.map(([name, each, to, isConclusive]) => {
          const node = machine.view.nodes.get(`${name}/${each}`);
          const ref = { cluster: name, addr: each };
          const { epoch = 0, state: from = "unknown" } = node ?? {};
          return { node: ref, epoch, from, to, cause: "c", isConclusive, ballots: [] };
        }),
      })),
  },
  fc.tuple(fc.nat(), fc.boolean()).map(([pick, isStart]): Draft => (machine) => {
    const ids = [...machine.view.runs.keys()];
    const runId = ids[pick % Math.max(1, ids.length)] ?? "none";
    if (isStart) return { type: "startRun", runId };
    const end = { exitCode: 0, signal: null, outputTail: "", error: "", isSuccess: true, retryAtMs: null };
    return { type: "finishRun", runId, ...end };
  }),
);

/** Few names, so that many come again; without one, a command comes from no request. */
const requestId = fc.option(fc.constantFrom("r1", "r2", "r3", "r4"), { nil: undefined });
const history = fc.array(fc.tuple(draft, fc.integer({ min: -2_000, max: 20_000 }), requestId), {
  maxLength: 40,
});

test("the same entries give the same state, to the byte", () => {
  fc.assert(
    fc.property(history, (drafts) => {
      const { machine, entries } = run(drafts);

      const other = new StateMachine();
      for (const entry of entries) other.apply(entry);

      assert.deepEqual(other.snapshot(), machine.snapshot());
    }),
  );
});

test("a snapshot, restored, goes on exactly as the state it was taken of", () => {
  fc.assert(
    fc.property(history, fc.nat(), (drafts, cutAt) => {
      const { machine, entries } = run(drafts);
      const at = cutAt % (entries.length + 1);
      const before = new StateMachine();
      for (const entry of entries.slice(0, at)) before.apply(entry);

      const restored = StateMachine.restore(before.snapshot());
      const applied = entries.slice(at).map((entry) => [restored.apply(entry), before.apply(entry)]);

      for (const [one, other] of applied) assert.deepEqual(one, other);
      assert.deepEqual(restored.snapshot(), machine.snapshot());
    }),
  );
});

test("the active events, added up, are the active set", () => {
  fc.assert(
    fc.property(history, (drafts) => {
      const { machine } = run(drafts);
      for (const name of CLUSTERS) {
        const active = new Set<string>();
        for (const { type, cluster: of, data } of machine.view.events) {
          if (type !== "active" || of !== name) continue;
          const { joined, left } = data as { joined: readonly string[]; left: readonly string[] };
          for (const each of left) assert.ok(active.delete(each), `${each} left, but was not in`);
          for (const each of joined) assert.ok(!active.has(each) && active.add(each), `${each} joined twice`);
        }
        assert.deepEqual([...active].sort(), activeAddrs(machine.view, name));
      }
    }),
  );
});

test("whatever comes, records stay consistent", () => {
  fc.assert(
    fc.property(history, (drafts) => {
      const { nodes, runs, atMs, config, panics } = run(drafts).machine.view;
      for (const [key, node] of nodes) {
        assert.equal(key, `${node.cluster}/${node.addr}`);
        assert.ok(Object.hasOwn(config.value.clusters, node.cluster), "a node of a cluster that is gone");
        assert.ok(node.sinceMs <= atMs && node.damping.penalty <= 12_000);
        assert.equal(node.source === "agent", node.declaredBy !== null);
      }
      for (const name of panics.keys()) assert.ok(Object.hasOwn(config.value.clusters, name));
      for (const [id, each] of runs) assert.ok(id === each.id && each.createdAtMs <= atMs);
    }),
  );
});

test("a request that comes again changes nothing, whenever that is, and gets the first answer", () => {
  fc.assert(
    fc.property(history, fc.nat(), fc.nat(), (drafts, pick, later) => {
      const { entries, results } = run(drafts);
      const first = entries[pick % Math.max(1, entries.length)];
      if (first === undefined) return;
      const { requestId: id, command, atMs } = decodeCommand(first.payload, first.index);
      if (id === undefined) return;
      const at = first.index + (later % (entries.length - first.index + 1));
      const machine = new StateMachine();
      for (const entry of entries.slice(0, at)) machine.apply(entry);
      const known = machine.view.requests.get(id);
      // Long ago: it is forgotten.
      if (known === undefined) return;
      const before = withoutPosition(machine);

      const payload = encodeCommand({ atMs, by: "another", command, requestId: id });
      const again = machine.apply({ index: at + 1, term: 2, payload });

      if (known.type === command.type) assert.deepEqual(again.result, results[known.index - 1]);
      else assert.equal(again.result.isAccepted, false);
      assert.deepEqual([again.command, again.events], [null, []]);
      assert.deepEqual(withoutPosition(machine), before);
    }),
    runs(300),
  );
});

function withoutPosition(machine: StateMachine): unknown {
  const [head = "", ...records] = new TextDecoder().decode(machine.snapshot()).split("\n");
  const { index: _index, term: _term, atMs: _atMs, ...rest } = JSON.parse(head) as Record<string, unknown>;
  return [rest, records];
}

function run(drafts: readonly (readonly [Draft, number, string | undefined])[]): {
  readonly machine: StateMachine;
  readonly entries: readonly LogEntry[];
  readonly results: readonly CommandResult[];
} {
  const machine = new StateMachine();
  const entries: LogEntry[] = [];
  const results: CommandResult[] = [];
  let atMs = 1_000_000;
  for (const [make, stepMs, id] of drafts) {
    atMs += stepMs;
    const command = make(machine);
    const stamped = { atMs, by: "test", command };
    const payload = encodeCommand(id === undefined ? stamped : { ...stamped, requestId: id });
    const entry = { index: entries.length + 1, term: 1, payload };
    entries.push(entry);
    results.push(machine.apply(entry).result);
  }
  return { machine, entries, results };
}
