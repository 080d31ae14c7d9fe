import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import type { Applier, ApplyOutcome, Bundle } from "../../appliers/applier.js";
import { systemClock } from "../../common/clock.js";
import type { HaproxyConfig } from "../../common/config/model.js";
import type { Logger } from "../../common/logger.js";
import { bundleFixture, outcomeOf } from "../../test/support/delivery-fixtures.js";
import { fakeReplica, nodeRecord, type FakeReplica } from "../../test/support/fake-replica.js";
import { haproxyConfig, proxyTarget } from "../../test/support/haproxy-views.js";
import type { AgentSession, FleetListener } from "../agents/fleet.js";
import type { NodeRecord } from "../state/model.js";
import { startDelivery, type Delivery, type DeliveryOptions } from "./start.js";

const LOCAL = haproxyConfig({ target: proxyTarget({ path: "/nowhere/haproxy.cfg" }) });
const A = "10.0.0.1:80";
const B = "10.0.0.2:80";

test("a cut is rendered, ordered at its own log position and recorded", async (t) => {
  const { replica, bundles, until, delivery } = start(t, LOCAL, [nodeRecord("web", A), nodeRecord("web", B)]);
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "converged");

  cut(replica, nodeRecord("web", A, { state: "down" }));
  const { index } = replica.state;
  await until(() => bundles.length === 2 && delivery.balancers()[0]?.proxies[0]?.state === "converged");

  assert.match(bundles[1]?.files[0]?.text ?? "", /server 10\.0\.0\.1:80 10\.0\.0\.1:80 disabled/);
  assert.deepEqual(bundles[1]?.fencing, { term: 1, index });
  assert.equal(bundles[1]?.isUrgent, true);
  await until(() => replica.proposed.length === 2);
  assert.deepEqual(
    replica.proposed.map(
      (command) => command.type === "recordDelivery" && command.delivery.appliedGeneration,
    ),
    bundles.map((bundle) => bundle.generation),
  );
});

test("a return is not urgent, and an entry that changes no byte orders nothing", async (t) => {
  const { replica, bundles, until } = start(t, LOCAL, [
    nodeRecord("web", A),
    nodeRecord("web", B, { state: "down" }),
  ]);
  await until(() => bundles.length === 1);

  cut(replica, nodeRecord("web", B));
  await until(() => bundles.length === 2);
  cut(replica, nodeRecord("web", B, { state: "unknown", heldState: "healthy" }));
  cut(replica, nodeRecord("web", B, { state: "down" }));
  await until(() => bundles.length === 3);

  assert.deepEqual(
    bundles.map((bundle) => bundle.isUrgent),
    [true, false, true],
  );
});

test("nothing is ordered while a node of the cluster was never judged", async (t) => {
  const { replica, bundles, until, delivery } = start(t, LOCAL, [
    nodeRecord("web", A),
    nodeRecord("web", B, { state: "unknown" }),
  ]);
  await until(() => delivery.balancers().length === 1);
  assert.match(
    delivery.balancers()[0]?.warnings.join() ?? "",
    /Waiting for the first round of verdicts on web/,
  );
  assert.equal(bundles.length, 0);

  cut(replica, nodeRecord("web", B, { state: "down" }));
  await until(() => bundles.length === 1);

  assert.deepEqual(delivery.balancers()[0]?.warnings, []);
});

test("a cluster that loses all its nodes keeps what the proxy has", async (t) => {
  const { replica, bundles, until, delivery } = start(t, LOCAL, [nodeRecord("web", A)]);
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "converged");

  replica.nodes.clear();
  replica.entry({ type: "removeNode", node: { cluster: "web", addr: A }, reason: "test" });

  assert.match(delivery.balancers()[0]?.warnings.join() ?? "", /Not rendered: cluster "web" has no nodes/);
  assert.equal(bundles.length, 1);
});

test("an agent that declares the balancer is ordered when it is found, and again after it was lost", async (t) => {
  const { fleet, until, delivery } = start(t, haproxyConfig({ deliver: "agents" }), [nodeRecord("web", A)]);
  await until(() => delivery.balancers()[0]?.wantedGeneration !== undefined);

  fleet.connect("edge-1", ["front"]);
  fleet.connect("edge-2", ["other"]);
  await until(() => fleet.applied.length === 1);
  fleet.answer("edge-1");
  assert.deepEqual(
    delivery.balancers()[0]?.proxies.map((line) => [line.target, line.state]),
    [["edge-1", "converged"]],
  );

  fleet.disconnect("edge-1");
  assert.equal(delivery.balancers()[0]?.proxies[0]?.state, "unreachable");
  fleet.connect("edge-1", ["front"], { appliedGeneration: "something else" });
  await until(() => fleet.applied.length === 2);

  assert.deepEqual(
    fleet.applied.map((each) => each.agent),
    ["edge-1", "edge-1"],
  );
});

test("an agent whose Hello shows the wanted generation is ordered nothing", async (t) => {
  const { fleet, until, delivery } = start(t, haproxyConfig({ deliver: "agents" }), [nodeRecord("web", A)]);
  await until(() => (delivery.balancers()[0]?.wantedGeneration ?? "") !== "");

  fleet.connect("edge-1", ["front"], { appliedGeneration: delivery.balancers()[0]?.wantedGeneration ?? "" });
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "converged");

  assert.deepEqual(fleet.applied, []);
});

test("only the leader orders from agents", async (t) => {
  const { fleet, until, delivery, lead } = start(
    t,
    haproxyConfig({ deliver: "agents" }),
    [nodeRecord("web", A)],
    { isLeader: false },
  );
  fleet.connect("edge-1", ["front"]);
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "unreachable");
  assert.deepEqual(fleet.applied, []);

  lead();

  assert.equal(fleet.applied.length, 1);
});

test("what a local proxy drifted to is ordered away", async (t) => {
  const { bundles, until, delivery, look } = start(t, LOCAL, [nodeRecord("web", A)], { observeEveryMs: 5 });
  await until(() => delivery.balancers()[0]?.proxies[0]?.state === "converged");

  look.seen = { appliedGeneration: "edited", observedGeneration: "", error: "" };
  await until(() => bundles.length >= 2);

  assert.equal(bundles[1]?.generation, bundles[0]?.generation);
});

test("a delivery that fails again and again is logged once per reason, and once when it is over", async (t) => {
  const logged: string[] = [];
  const logger: Logger = {
    ...silent,
    warn: (event, fields) =>
      logged.push(`${event} ${String(fields?.["error"])} ${String(fields?.["attempts"])}`),
    info: (event, fields) => {
      if (event === "delivery.converged") logged.push(`${event} ${String(fields?.["attempts"])}`);
    },
  };
  const { fleet, until, delivery } = start(t, haproxyConfig({ deliver: "agents" }), [nodeRecord("web", A)], {
    logger,
  });
  await until(() => (delivery.balancers()[0]?.wantedGeneration ?? "") !== "");
  fleet.connect("edge-1", ["front"]);
  await until(() => fleet.applied.length === 1);

  for (const pid of [11, 12, 13]) fleet.answer("edge-1", { error: `disk full (${pid})` });
  fleet.answer("edge-1", { error: "no such folder" });
  fleet.answer("edge-1");

  assert.deepEqual(logged, [
    "delivery.failed disk full (11) 1",
    "delivery.failed no such folder 4",
    "delivery.converged 4",
  ]);
});

type Started = {
  readonly replica: FakeReplica;
  readonly bundles: Bundle[];
  readonly delivery: Delivery;
  readonly fleet: ReturnType<typeof fakeFleet>;
  readonly look: { seen: Awaited<ReturnType<Applier["observe"]>> | null };
  readonly lead: () => void;
  readonly until: (condition: () => boolean) => Promise<void>;
};

function start(
  t: TestContext,
  balancer: HaproxyConfig,
  nodes: readonly NodeRecord[],
  options: { readonly isLeader?: boolean; readonly observeEveryMs?: number; readonly logger?: Logger } = {},
): Started {
  const replica = fakeReplica([balancer], nodes);
  const bundles: Bundle[] = [];
  const look: Started["look"] = { seen: null };
  const applier: Applier = {
    apply: async (bundle) => {
      bundles.push(bundle);
      look.seen = null;
      return outcomeOf(bundle);
    },
    observe: async () => {
      const generation = bundles.at(-1)?.generation ?? "";
      return look.seen ?? { appliedGeneration: generation, observedGeneration: "", error: "" };
    },
  };
  let isLeader = options.isLeader ?? true;
  let onLeadership: Parameters<DeliveryOptions["log"]["onLeadership"]>[0] = () => undefined;
  const leadership = () => ({ leaderId: "c1", term: 1, isLeader });
  const fleet = fakeFleet();
  const delivery = startDelivery({
    replica,
    fleet: fleet.port,
    log: {
      leadership,
      onLeadership: (callback) => {
        onLeadership = callback;
        return () => undefined;
      },
    },
    clock: systemClock,
    logger: options.logger ?? silent,
    createApplier: () => applier,
    ...(options.observeEveryMs === undefined ? {} : { observeEveryMs: options.observeEveryMs }),
  });
  t.after(() => delivery.close());
  return {
    replica,
    bundles,
    delivery,
    fleet,
    look,
    lead: () => {
      isLeader = true;
      onLeadership(leadership());
    },
    until: async (condition) => {
      const deadline = performance.now() + 5_000;
      while (!condition()) {
        assert.ok(performance.now() < deadline, "not within 5 s");
        await systemClock.sleep(1);
      }
    },
  };
}

function cut(replica: FakeReplica, node: NodeRecord): void {
  const before = replica.nodes.get(`${node.cluster}/${node.addr}`);
  replica.nodes.set(`${node.cluster}/${node.addr}`, node);
  replica.entry({
    type: "cut",
    transitions: [
      {
        node: { cluster: node.cluster, addr: node.addr },
        epoch: node.epoch,
        from: before?.state ?? "unknown",
        to: node.state,
        cause: "test",
        isConclusive: false,
        ballots: [],
      },
    ],
  });
}

function fakeFleet() {
  const listeners = new Set<FleetListener>();
  const sessions = new Map<string, AgentSession>();
  const applied: { readonly agent: string; readonly bundle: Bundle }[] = [];
  return {
    applied,
    port: {
      sessions: () => [...sessions.values()],
      apply: (agent: string, bundle: Bundle) => {
        if (sessions.get(agent)?.isConnected !== true) return false;
        applied.push({ agent, bundle });
        return true;
      },
      listen: (listener: FleetListener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    connect: (id: string, proxies: readonly string[], holds: { appliedGeneration: string } | null = null) => {
      const session: AgentSession = {
        id,
        bootId: "1",
        zone: "",
        host: id,
        networkIdentity: "here",
        isConnected: true,
        lastHeartbeatMs: 0,
        selfDoubt: { level: 0, cause: "", loopDelayP99Ms: 0, cpuPressure: -1 },
        proxies,
        labels: {},
        version: "1",
        lostCause: "",
      };
      sessions.set(id, session);
      for (const listener of listeners) listener.onFound?.(session);
      if (holds === null) return;
      const generation = holds.appliedGeneration;
      const outcome = outcomeOf(bundleFixture(generation, { fencing: { term: 0, index: 0 } }));
      for (const listener of listeners) listener.onApplied?.(id, outcome);
    },
    disconnect: (id: string) => {
      const session = sessions.get(id);
      assert.ok(session);
      sessions.set(id, { ...session, isConnected: false });
      for (const listener of listeners) listener.onLost?.(session, "test");
    },
    answer: (id: string, changes: Partial<ApplyOutcome> = {}) => {
      const last = applied.filter((each) => each.agent === id).at(-1);
      assert.ok(last);
      for (const listener of listeners) listener.onApplied?.(id, outcomeOf(last.bundle, changes));
    },
  };
}

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  isDebugEnabled: () => false,
  child: () => silent,
};
