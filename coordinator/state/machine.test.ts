import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterConfig } from "../../common/config/model.js";
import type { Transition } from "../../common/model/cut.js";
import type { NodeState, Overlay } from "../../common/model/node.js";
import { clusterOf, nodeOf, triggerOf } from "../../test/support/cluster-config.js";
import { encodeCommand } from "./codec.js";
import type { Command } from "./commands.js";
import { StateMachine } from "./machine.js";
import type { Applied } from "./machine.js";
import { expiredOverlays } from "./overlays.js";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";
const C = "10.0.0.3:80";

test("the file's nodes come in unknown, and their epoch is the entry that added them", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B, { isSpare: true })] }),
  );

  const [a, b] = [tier.node(A), tier.node(B)];

  assert.deepEqual(
    [a.state, a.heldState, a.cause, a.source, a.epoch],
    ["unknown", "unknown", "not checked yet", "file", 1],
  );
  assert.equal(b.overlay?.kind, "spare");
});

test("without checks and with pass_without_checks nodes are healthy from the beginning", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A)], checks: [], passWithoutChecks: true }),
  );

  assert.equal(tier.node(A).state, "healthy");
  assert.deepEqual(tier.lastEvents("active"), [["active", `1 active; in: "${A}"`]]);
});

test("a node that the API removed stays away until its own line in the file changes", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B)] }));
  tier.propose({ type: "removeNode", node: { cluster: "web", addr: A }, reason: "" });

  tier.configure(clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B), nodeOf(C)] }));
  const afterOther = [...tier.machine.view.nodes.keys()];
  tier.configure(clusterOf({ name: "web", nodes: [nodeOf(A, { attributes: { weight: 2 } }), nodeOf(B)] }));

  assert.deepEqual(afterOther, [`web/${B}`, `web/${C}`]);
  assert.deepEqual([...tier.machine.view.nodes.keys()], [`web/${B}`, `web/${A}`]);
  assert.equal(tier.node(A).epoch, tier.index);
});

test("nodes that the API or an agent added stay whatever the file says, until their cluster goes", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));
  tier.propose({ type: "addNode", node: { cluster: "web", addr: B }, attributes: {}, isIdempotent: false });
  tier.propose({
    type: "declareNodes",
    agentId: "a1",
    nodes: [{ cluster: "web", addr: C, attributes: {} }],
  });

  tier.configure(clusterOf({ name: "web", nodes: [] }));
  const kept = [...tier.machine.view.nodes.keys()];
  tier.configure(clusterOf({ name: "other" }));

  assert.deepEqual(kept, [`web/${B}`, `web/${C}`]);
  assert.equal(tier.machine.view.nodes.size, 0);
});

test("changed attributes keep a node's state and epoch; removing and adding makes another node", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));
  tier.cut([[A, "unknown", "healthy"]]);

  tier.configure(clusterOf({ name: "web", nodes: [nodeOf(A, { attributes: { weight: 5 } })] }));
  const changed = tier.node(A);
  tier.propose({ type: "removeNode", node: { cluster: "web", addr: A }, reason: "" });
  tier.propose({ type: "addNode", node: { cluster: "web", addr: A }, attributes: {}, isIdempotent: false });

  assert.deepEqual([changed.state, changed.epoch, changed.attributes], ["healthy", 1, { weight: 5 }]);
  assert.deepEqual([tier.node(A).state, tier.node(A).epoch], ["unknown", tier.index]);
});

test("the file takes back only an overlay that it set itself", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A, { isDisabled: true }), nodeOf(B, { isDisabled: true })] }),
  );
  tier.overlay(B, { kind: "maintenance", reason: "disk", untilMs: null });

  tier.configure(clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B)] }));

  assert.equal(tier.node(A).overlay, null);
  assert.equal(tier.node(B).overlay?.kind, "maintenance");
});

test("a configuration made from another revision is refused and changes nothing", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));
  const before = tier.machine.view.config;

  const { result, events } = tier.propose({
    type: "applyConfig",
    config: { clusters: {}, balancers: {} },
    yaml: "x",
    source: "api",
    fileHash: "",
    ifRevision: 99,
  });

  assert.equal(result.isAccepted ? "" : result.code, "CONFLICT");
  assert.deepEqual(events, []);
  assert.equal(tier.machine.view.config, before);
});

test("the same configuration again keeps its revision; one from the API keeps the file's hash", () => {
  const tier = new Tier().configure(clusterOf({ name: "web" }));
  const { revision, fileHash } = tier.machine.view.config;

  tier.configure(clusterOf({ name: "web" }));
  const again = tier.machine.view.config.revision;
  tier.configure(clusterOf({ name: "web", minActiveNodes: 1 }), "api");

  assert.equal(again, revision);
  assert.equal(tier.machine.view.config.fileHash, fileHash);
  assert.equal(tier.machine.view.config.revision, tier.index);
});

test("adding a node says what would work when it cannot be done", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));
  const add = (cluster: string, addr: string, isIdempotent = false): string => {
    const command = { type: "addNode", node: { cluster, addr }, attributes: {}, isIdempotent } as const;
    const { result } = tier.propose(command);
    return result.isAccepted ? "accepted" : `${result.code}: ${result.message}`;
  };

  assert.equal(
    add("wbe", B),
    `NOT_FOUND: Cannot add node "${B}": there is no cluster "wbe"; there are: "web"`,
  );
  assert.match(add("web", "nonsense"), /^INVALID_ARGUMENT: .*expected host:port/);
  assert.match(add("web", "tcp://10.0.0.9:80"), /must be written "10.0.0.9:80"/);
  assert.match(add("web", A), /^CONFLICT: .*has it already, from the configuration$/);
  assert.equal(add("web", A, true), "accepted");
  assert.match(add("constructor", A), /^NOT_FOUND/);
});

test("a node that is added or declared as a spare, or disabled, begins as one", () => {
  const tier = new Tier().configure(clusterOf({ name: "web" }));
  const node = { cluster: "web", addr: A };
  const add = (): Applied =>
    tier.propose({ type: "addNode", node, attributes: { spare: true, weight: 2 }, isIdempotent: true });

  const results = [add(), add()].map(({ result }) => result.isAccepted);
  tier.propose({
    type: "declareNodes",
    agentId: "a1",
    nodes: [{ cluster: "web", addr: B, attributes: { disabled: true } }],
  });

  assert.deepEqual(results, [true, true]);
  assert.deepEqual([tier.node(A).overlay?.kind, tier.node(A).attributes], ["spare", { weight: 2 }]);
  assert.deepEqual([tier.node(B).overlay?.reason, tier.node(B).attributes], ['disabled says agent "a1"', {}]);
});

test("an agent's nodes are those of its last declaration, and other sources stay untouched", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));
  const declare = (agentId: string, ...addrs: string[]): Applied =>
    tier.propose({
      type: "declareNodes",
      agentId,
      nodes: addrs.map((addr) => ({ cluster: "web", addr, attributes: {} })),
    });

  declare("a1", A, B, C);
  declare("a2", C);
  declare("a1");
  const { events } = tier.propose({
    type: "declareNodes",
    agentId: "a3",
    nodes: [{ cluster: "nope", addr: A, attributes: {} }],
  });

  assert.deepEqual([...tier.machine.view.nodes.keys()], [`web/${A}`, `web/${C}`]);
  assert.equal(tier.node(A).source, "file");
  assert.equal(tier.node(C).declaredBy, "a2");
  assert.match(events[0]?.message ?? "", /cluster "nope", which is not configured/);
});

test("a cut applies the transitions that still fit, and records only those", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B)] }));

  tier.cut([
    [A, "unknown", "healthy"],
    [B, "healthy", "down"],
    [C, "unknown", "down"],
  ]);
  const stale = tier.propose({ type: "cut", transitions: [transition(A, "healthy", "down", 99)] });

  assert.equal(tier.node(A).state, "healthy");
  assert.equal(tier.node(B).state, "unknown");
  assert.deepEqual(
    tier.machine.view.cuts.map(({ transitions }) => transitions.map(({ node }) => node.addr)),
    [[A]],
  );
  assert.equal(stale.result.isAccepted, false);
});

test("damping adds a thousand per down and five hundred per degraded, for the worse only, halves in a minute and is capped", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));

  tier.cut([[A, "unknown", "down"]]);
  const first = tier.node(A).damping.penalty;
  tier.cut([[A, "down", "degraded"]]);
  const better = tier.node(A).damping.penalty;
  tier.cut([[A, "degraded", "healthy"]]);
  tier.atMs += 60_000;
  tier.cut([[A, "healthy", "degraded"]]);
  const second = tier.node(A).damping.penalty;
  for (let round = 0; round < 20; round++) {
    tier.cut([[A, round === 0 ? "degraded" : "down", "healthy"]]);
    tier.cut([[A, "healthy", "down"]]);
  }

  assert.deepEqual([first, better, second, tier.node(A).damping.penalty], [1_000, 1_000, 1_000, 12_000]);
});

test("a node that becomes unknown stays what it was: no trigger, no change of the active set", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A)], triggers: [triggerOf("t", ["active", "state", "nodes"])] }),
  );
  tier.cut([[A, "unknown", "healthy"]]);
  const runs = tier.machine.view.runs.size;

  const { events } = tier.cut([[A, "healthy", "unknown"]]);

  assert.deepEqual(
    events.map(({ type }) => type),
    ["state"],
  );
  assert.equal(tier.machine.view.runs.size, runs);
  assert.equal(tier.node(A).heldState, "healthy");
});

test("a node that is known again as what it was fires nothing; as something else it does", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A)], triggers: [triggerOf("t", ["state"])] }),
  );
  tier.cut([[A, "unknown", "healthy"]]);
  tier.cut([[A, "healthy", "unknown"]]);
  const runs = tier.machine.view.runs.size;

  tier.cut([[A, "unknown", "healthy"]]);
  const afterReturn = tier.machine.view.runs.size;
  tier.cut([[A, "healthy", "unknown"]]);
  tier.cut([[A, "unknown", "down"]]);

  assert.equal(afterReturn, runs);
  assert.equal(tier.machine.view.runs.size, runs + 1);
});

test("panic begins over the threshold and ends by itself; nodes out by an operator do not count", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B), nodeOf(C)] }));
  const isPanic = (): boolean => tier.machine.view.panics.has("web");

  tier.cut([[A, "unknown", "down"]]);
  const one = isPanic();
  tier.cut([[B, "unknown", "down"]]);
  const two = isPanic();
  tier.overlay(B, { kind: "drain", reason: "", untilMs: null });
  const drained = isPanic();
  tier.overlay(B, null);
  tier.cut([[A, "down", "healthy"]]);

  assert.deepEqual([one, two, drained, isPanic()], [false, true, false, false]);
});

test("a lone node never panics", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));

  tier.cut([[A, "unknown", "down"]]);

  assert.equal(tier.machine.view.panics.size, 0);
});

test("a healthy spare steps in for a deficit, but not while others are merely unjudged", () => {
  const tier = new Tier().configure(
    clusterOf({
      name: "web",
      nodes: [nodeOf(A), nodeOf(B, { isSpare: true }), nodeOf(C, { isSpare: true })],
      minActiveNodes: 1,
    }),
  );

  tier.cut([
    [B, "unknown", "healthy"],
    [C, "unknown", "healthy"],
  ]);
  const before = tier.node(B).overlay?.kind;
  tier.cut([[A, "unknown", "healthy"]]);
  const { events } = tier.cut([[A, "healthy", "down"]]);

  assert.equal(before, "spare");
  assert.equal(tier.node(B).overlay, null);
  assert.equal(tier.node(C).overlay?.kind, "spare");
  assert.deepEqual(
    events.map(({ type, message }) => `${type} ${message}`),
    [
      "state healthy → down: test",
      "overlay no longer spare: 0 active, at least 1 wanted",
      `active 1 active; in: "${B}"; out: "${A}"`,
    ],
  );
});

test("one entry makes one run per trigger of the cluster's events, and one per node on state", () => {
  const tier = new Tier().configure(
    clusterOf({
      name: "web",
      nodes: [nodeOf(A), nodeOf(B)],
      triggers: [triggerOf("both", ["nodes", "active"]), triggerOf("each", ["state"])],
    }),
  );
  const atFirst = tier.machine.view.runs.size;

  tier.cut([
    [A, "unknown", "healthy"],
    [B, "unknown", "healthy"],
  ]);

  const runs = [...tier.machine.view.runs.values()];
  assert.equal(atFirst, 0, "a new cluster fires nothing before the first verdicts");
  assert.deepEqual(
    runs.map(({ id, trigger, event }) => [id, trigger, event.type, event.node?.addr ?? null]),
    [
      [`${tier.index}.0`, "both", "active", null],
      [`${tier.index}.1`, "each", "state", A],
      [`${tier.index}.2`, "each", "state", B],
    ],
  );
  assert.deepEqual(runs[0]?.event.activeAddrs, [A, B]);
});

test("a throttled run waits and takes later events with it", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A)], triggers: [triggerOf("t", ["active"], 10_000)] }),
  );
  tier.cut([[A, "unknown", "healthy"]]);
  const firstId = `${tier.index}.0`;
  tier.propose({ type: "startRun", runId: firstId });
  const startedAtMs = tier.machine.view.atMs;

  tier.atMs += 1_000;
  tier.cut([[A, "healthy", "down"]]);
  const secondId = `${tier.index}.0`;
  tier.atMs += 1_000;
  tier.cut([[A, "down", "healthy"]]);

  const [, second, ...more] = [...tier.machine.view.runs.values()];
  assert.deepEqual(more, []);
  assert.equal(second?.id, secondId);
  assert.equal(second.notBeforeMs, startedAtMs + 10_000);
  assert.deepEqual(second.event.activeAddrs, [A]);
  assert.equal(second.eventIndex, tier.index);
});

test("a run is started once, retried when asked, and finished once", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A)], triggers: [triggerOf("t", ["active"])] }),
  );
  tier.cut([[A, "unknown", "healthy"]]);
  const runId = `${tier.index}.0`;
  const start = (): boolean => tier.propose({ type: "startRun", runId }).result.isAccepted;
  const finish = (retryAtMs: number | null): boolean =>
    tier.propose({
      type: "finishRun",
      runId,
      exitCode: 1,
      signal: null,
      outputTail: "x".repeat(20_000),
      error: "exit 1",
      isSuccess: false,
      retryAtMs,
    }).result.isAccepted;

  assert.deepEqual([finish(null), start(), start(), finish(tier.atMs + 500)], [false, true, false, true]);
  const retried = tier.machine.view.runs.get(runId);
  assert.deepEqual([retried?.outcome, retried?.notBeforeMs], ["pending", tier.atMs + 500]);
  assert.deepEqual([start(), finish(null), finish(null)], [true, true, false]);
  const run = tier.machine.view.runs.get(runId);
  assert.deepEqual([run?.outcome, run?.attempts, run?.outputTail.length], ["failed", 2, 16_384]);
  assert.equal(tier.machine.view.events.at(-1)?.type, "run.finished");
});

test("runs that wait for a trigger which is gone are finished", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A)], triggers: [triggerOf("t", ["active"])] }),
  );
  tier.cut([[A, "unknown", "healthy"]]);

  tier.configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));

  assert.deepEqual(
    [...tier.machine.view.runs.values()].map(({ outcome }) => outcome),
    ["failed"],
  );
});

test("an overlay ends by a command, for which the leader asks what has expired", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B)] }));
  const untilMs = tier.atMs + 5_000;
  tier.overlay(A, { kind: "drain", reason: "deploy", untilMs });

  const late = tier.overlay(B, { kind: "drain", reason: "", untilMs: tier.atMs - 1 });

  assert.equal(late.result.isAccepted, false);
  assert.deepEqual(expiredOverlays(tier.machine.view, untilMs - 1), []);
  assert.deepEqual(expiredOverlays(tier.machine.view, untilMs), [
    { node: { cluster: "web", addr: A }, untilMs },
  ]);
});

test("ending what has run out does not touch an overlay that was set meanwhile", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));
  const ifUntilMs = tier.atMs + 5_000;
  const end = (): Applied =>
    tier.propose({ type: "setOverlay", node: { cluster: "web", addr: A }, overlay: null, ifUntilMs });
  tier.overlay(A, { kind: "maintenance", reason: "disk", untilMs: null });

  const tooLate = end();
  const kept = tier.node(A).overlay?.kind;
  tier.overlay(A, { kind: "drain", reason: "", untilMs: ifUntilMs });
  const inTime = end();

  assert.deepEqual([tooLate.result.isAccepted, kept], [false, "maintenance"]);
  assert.deepEqual([inTime.result.isAccepted, tier.node(A).overlay], [true, null]);
});

test("a lost agent can be removed, with the nodes it declared; a connected one cannot", () => {
  const tier = new Tier().configure(clusterOf({ name: "web", nodes: [nodeOf(A)] }));
  const agent = { id: "a1", bootId: "b1", host: "h", zone: "z", labels: {}, version: "1", proxies: ["lb"] };
  tier.propose({ type: "agentFound", agent });
  tier.propose({
    type: "declareNodes",
    agentId: "a1",
    nodes: [{ cluster: "web", addr: B, attributes: {} }],
  });
  const delivery = { balancer: "lb", target: "a1", wantedGeneration: "1", appliedGeneration: "1", error: "" };
  tier.propose({ type: "recordDelivery", delivery });
  const remove = (agentId: string): Applied => tier.propose({ type: "removeAgent", agentId });

  const connected = remove("a1");
  tier.propose({ type: "agentLost", agentId: "a1", bootId: "b1", cause: "silent" });
  const lost = remove("a1");
  const gone = remove("a1");

  assert.match(
    connected.result.isAccepted ? "" : connected.result.message,
    /it is connected; stop it on h first/,
  );
  assert.deepEqual(
    lost.events.map(({ type, message }) => `${type}: ${message}`),
    [
      `agent.removed: Agent "a1" on h was removed with what it had declared: "web/${B}"`,
      `nodes: removed "${B}"`,
    ],
  );
  assert.deepEqual([...tier.machine.view.nodes.keys()], [`web/${A}`]);
  assert.deepEqual([tier.machine.view.agents.size, tier.machine.view.deliveries.size], [0, 0]);
  assert.equal(gone.result.isAccepted ? "" : gone.result.code, "NOT_FOUND");
});

test("a reserve says when it is short and when it is full again, not that nobody has looked yet", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A), nodeOf(B, { isSpare: true })], minSpareNodes: 1 }),
  );
  const atFirst = tier.lastEvents("spares");

  tier.cut([[B, "unknown", "down"]]);
  tier.cut([[A, "unknown", "healthy"]]);
  tier.cut([[B, "down", "healthy"]]);

  assert.deepEqual(atFirst, []);
  assert.deepEqual(
    tier.lastEvents("spares").map(([, message]) => message),
    ["The reserve is short: 0 spares, at least 1 wanted", "The reserve is full again: at least 1 spares"],
  );
});

test("agents are found, restarted and lost; a loss of an earlier boot is ignored", () => {
  const tier = new Tier();
  const found = (bootId: string): Applied =>
    tier.propose({
      type: "agentFound",
      agent: { id: "a1", bootId, host: "h", zone: "z", labels: {}, version: "1", proxies: [] },
    });
  const lost = (bootId: string): Applied =>
    tier.propose({ type: "agentLost", agentId: "a1", bootId, cause: "silent" });

  const types = [found("b1"), found("b1"), found("b2"), lost("b1"), lost("b2"), lost("b2"), found("b2")].map(
    ({ events }) => events.map(({ type }) => type).join(),
  );

  assert.deepEqual(types, ["agent.found", "", "agent.found", "", "agent.lost", "", "agent.found"]);
});

test("deliveries make events only when they are news", () => {
  const tier = new Tier();
  const record = (wantedGeneration: string, appliedGeneration: string, error = ""): string =>
    tier
      .propose({
        type: "recordDelivery",
        delivery: { balancer: "lb", target: "h1", wantedGeneration, appliedGeneration, error },
      })
      .events.map(({ type }) => type)
      .join();

  assert.deepEqual(
    [
      record("g1", "g1"),
      record("g1", "g1"),
      record("g2", "g1", "bad"),
      record("g2", "g1", "bad"),
      record("g2", "g2"),
    ],
    ["delivery.converged", "", "delivery.failed", "", "delivery.converged"],
  );
});

test("the tier's identity is given once", () => {
  const tier = new Tier();

  const first = tier.propose({ type: "initialise", clusterId: "01A" });
  const second = tier.propose({ type: "initialise", clusterId: "01B" });

  assert.deepEqual([first.result.isAccepted, second.result.isAccepted], [true, false]);
  assert.equal(tier.machine.view.clusterId, "01A");
});

test("time never runs backwards, whatever the proposers' clocks say", () => {
  const tier = new Tier();
  tier.propose({ type: "initialise", clusterId: "01A" });
  const before = tier.machine.view.atMs;

  tier.atMs -= 60_000;
  tier.propose({ type: "initialise", clusterId: "01A" });

  assert.equal(tier.machine.view.atMs, before);
});

test("an entry of a newer version stops this member with a message that says so", () => {
  const machine = new StateMachine();
  const entry = (text: string) => ({ index: 1, term: 1, payload: new TextEncoder().encode(text) });

  for (const text of ['{"v":1,"atMs":1,"by":"x","command":{"type":"teleport"}}', '{"v":2}', "\u0001"]) {
    assert.throws(() => machine.apply(entry(text)), { code: "VERSION_UNSUPPORTED", message: /log entry 1/ });
  }
});

test("finished runs, events and cuts are bounded", () => {
  const tier = new Tier().configure(
    clusterOf({ name: "web", nodes: [nodeOf(A)], triggers: [triggerOf("t", ["state"])] }),
  );
  tier.cut([[A, "unknown", "healthy"]]);
  for (let round = 0; round < 2_600; round++) {
    tier.cut([round % 2 === 0 ? [A, "healthy", "down"] : [A, "down", "healthy"]]);
    const runId = `${tier.index}.0`;
    tier.propose({ type: "startRun", runId });
    tier.propose({
      type: "finishRun",
      runId,
      exitCode: 0,
      signal: null,
      outputTail: "",
      error: "",
      isSuccess: true,
      retryAtMs: null,
    });
  }

  const { events, cuts, runs } = tier.machine.view;
  // One run, of the first cut, was never started: it is kept.
  assert.deepEqual([events.length <= 10_000, cuts.length, runs.size], [true, 2_000, 1_001]);
});

/** A state machine with a log that is as long as what was proposed. */
class Tier {
  readonly machine = new StateMachine();
  atMs = 1_000_000;
  index = 0;

  propose(command: Command): Applied {
    this.index++;
    const payload = encodeCommand({ atMs: this.atMs, by: "test", command });
    return this.machine.apply({ index: this.index, term: 1, payload });
  }

  configure(cluster: ClusterConfig, source: "file" | "api" = "file"): this {
    const config = { clusters: { [cluster.name]: cluster }, balancers: {} };
    const yaml = JSON.stringify(config);
    this.propose({ type: "applyConfig", config, yaml, source, fileHash: yaml, ifRevision: null });
    return this;
  }

  cut(changes: readonly (readonly [string, NodeState, NodeState])[]): Applied {
    const transitions = changes.map(([addr, from, to]) =>
      transition(addr, from, to, this.machine.view.nodes.get(`web/${addr}`)?.epoch ?? 0),
    );
    return this.propose({ type: "cut", transitions });
  }

  overlay(addr: string, overlay: Overlay | null): Applied {
    return this.propose({ type: "setOverlay", node: { cluster: "web", addr }, overlay });
  }

  node(addr: string) {
    const node = this.machine.view.nodes.get(`web/${addr}`);
    assert.ok(node !== undefined, `no node ${addr}`);
    return node;
  }

  lastEvents(type: string): readonly (readonly [string, string])[] {
    const { events } = this.machine.view;
    return events.filter((event) => event.type === type).map((event) => [event.type, event.message]);
  }
}

function transition(addr: string, from: NodeState, to: NodeState, epoch: number): Transition {
  return { node: { cluster: "web", addr }, epoch, from, to, cause: "test", isConclusive: false, ballots: [] };
}
