import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

import { isHeldActive } from "../state/state.js";
import type { AppliedEntry } from "../replica.js";
import { quorumOf } from "../tier/tier-health.js";
import type { ControlContext } from "../api/context.js";

const PREFIX = "clusterduck_";
const NODE_STATES = ["healthy", "degraded", "down", "unknown"] as const;

export type Metrics = {
  readonly registry: Registry;
  readonly recordReload: (isSuccess: boolean) => void;
};

/** Numbers for Prometheus: gauges are read from the state at every scrape, counters grow with every applied entry. */
export function createMetrics(context: ControlContext): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  addStateGauges(registry, context);
  addTierGauges(registry, context);
  addDeliveryGauges(registry, context);
  addEntryCounters(registry, context);
  addCertificateGauge(registry, context);
  const reload = gauge(
    registry,
    "config_last_reload_successful",
    "Whether the newest configuration file was taken",
  );
  reload.set(1);
  return { registry, recordReload: (isSuccess) => reload.set(isSuccess ? 1 : 0) };
}

function addStateGauges(registry: Registry, { replica }: ControlContext): void {
  gauge(registry, "nodes", "Nodes by committed state", ["cluster", "state"], (self) => {
    self.reset();
    for (const cluster of Object.keys(replica.state.config.value.clusters)) {
      for (const state of NODE_STATES) self.set({ cluster, state }, 0);
    }
    for (const { cluster, state } of replica.state.nodes.values()) self.inc({ cluster, state });
  });
  gauge(registry, "nodes_active", "Nodes that traffic may go to", ["cluster"], (self) => {
    self.reset();
    for (const cluster of Object.keys(replica.state.config.value.clusters)) self.set({ cluster }, 0);
    for (const node of replica.state.nodes.values())
      if (isHeldActive(node)) self.inc({ cluster: node.cluster });
  });
  gauge(registry, "node_state", "1 for the state a node is in", ["cluster", "node", "state"], (self) => {
    self.reset();
    for (const { cluster, addr, state } of replica.state.nodes.values())
      self.set({ cluster, node: addr, state }, 1);
  });
  gauge(
    registry,
    "maintenance_active",
    "Nodes under an operator's overlay",
    ["cluster", "overlay"],
    (self) => {
      self.reset();
      for (const { cluster, overlay } of replica.state.nodes.values()) {
        if (overlay !== null) self.inc({ cluster, overlay: overlay.kind });
      }
    },
  );
  gauge(registry, "panic", "1 for clusters in panic", ["cluster"], (self) => {
    self.reset();
    for (const cluster of replica.state.panics.keys()) self.set({ cluster }, 1);
  });
}

function addTierGauges(registry: Registry, context: ControlContext): void {
  const { log, replica, fleet, clock } = context;
  gauge(registry, "build_info", "Version of this program", ["version"]).set({ version: context.version }, 1);
  gauge(registry, "raft_has_leader", "Whether a leader is known", [], (self) =>
    self.set(log.leadership().leaderId === null ? 0 : 1),
  );
  gauge(registry, "raft_is_leader", "Whether this coordinator leads", [], (self) =>
    self.set(log.leadership().isLeader ? 1 : 0),
  );
  gauge(registry, "raft_term", "Current term", [], (self) => self.set(log.leadership().term));
  gauge(registry, "raft_members", "Members of the log by role", ["role"], (self) => {
    self.reset();
    for (const { role } of context.tier.members()) self.inc({ role });
  });
  gauge(
    registry,
    "raft_members_answering",
    "Voting members known to answer; a majority is needed",
    [],
    (self) => self.set(quorumOf(context.tier.members()).answering),
  );
  gauge(registry, "raft_members_needed", "Voting members that make a majority", [], (self) =>
    self.set(quorumOf(context.tier.members()).needed),
  );
  gauge(
    registry,
    "raft_peer_last_contact_seconds",
    "Time since another member was heard; only where this one hears from it",
    ["peer"],
    (self) => {
      self.reset();
      for (const { id, isSelf, silentMs } of context.tier.members())
        if (!isSelf && silentMs !== null) self.set({ peer: id }, silentMs / 1000);
    },
  );
  gauge(
    registry,
    "raft_member_trouble",
    "1 for members that say why their log does not answer, by kind: disk-full, disk-slow; the leader knows of all",
    ["coordinator", "kind"],
    (self) => {
      self.reset();
      for (const { id, trouble } of context.tier.members())
        if (trouble !== undefined) self.set({ coordinator: id, kind: trouble.kind }, 1);
    },
  );
  gauge(registry, "raft_commit_index", "Highest committed index", [], (self) =>
    self.set(log.status().commitIndex),
  );
  gauge(registry, "raft_applied_index", "Highest applied index", [], (self) => self.set(replica.state.index));
  gauge(registry, "raft_log_bytes", "Size of the log on disk", [], (self) => self.set(log.status().bytes));
  gauge(registry, "agent_heartbeat_age_seconds", "Time since an agent was heard", ["agent"], (self) => {
    self.reset();
    for (const { id, lastHeartbeatMs } of fleet.sessions()) {
      self.set({ agent: id }, (clock.monotonicMs() - lastHeartbeatMs) / 1000);
    }
  });
  gauge(registry, "self_doubt", "0 (sure) to 8 (abstains from 4)", ["observer"], (self) => {
    self.reset();
    for (const { id, selfDoubt } of fleet.sessions()) self.set({ observer: id }, selfDoubt.level);
    self.set({ observer: `coordinator:${context.coordinatorId}` }, context.schedule.selfDoubt().level);
  });
}

function addDeliveryGauges(registry: Registry, { balancers }: ControlContext): void {
  const eachProxy = (
    self: Gauge,
    value: (proxy: ReturnType<typeof balancers.balancers>[number]["proxies"][number]) => number,
  ): void => {
    self.reset();
    for (const { name, proxies } of balancers.balancers()) {
      for (const proxy of proxies) self.set({ balancer: name, proxy: proxy.target }, value(proxy));
    }
  };
  const labels = ["balancer", "proxy"];
  gauge(registry, "proxy_converged", "Whether a proxy runs what it should", labels, (self) =>
    eachProxy(self, (proxy) => (proxy.state === "converged" ? 1 : 0)),
  );
  gauge(registry, "drift", "Whether a proxy was found running something else", labels, (self) =>
    eachProxy(self, (proxy) => (proxy.state === "drifted" ? 1 : 0)),
  );
  gauge(registry, "reload_seconds", "How long the newest delivery took", labels, (self) =>
    eachProxy(self, (proxy) => proxy.durationMs / 1000),
  );
}

function addCertificateGauge(registry: Registry, { tls }: ControlContext): void {
  if (tls === null || tls === undefined) return;
  const help = "When a certificate ends, seconds since the Unix epoch";
  gauge(registry, "cert_not_after_timestamp_seconds", help, ["certificate"], (self) => {
    const { own, authorities } = tls.material;
    self.set({ certificate: "own" }, own.notAfterMs / 1000);
    self.set(
      { certificate: "authority" },
      Math.min(...authorities.map(({ notAfterMs }) => notAfterMs)) / 1000,
    );
  });
}

function addEntryCounters(registry: Registry, { replica }: ControlContext): void {
  const registers = [registry];
  const transitions = new Counter({
    name: `${PREFIX}transitions_total`,
    help: "Committed changes of nodes' states",
    labelNames: ["cluster", "from", "to"],
    registers,
  });
  const runs = new Counter({
    name: `${PREFIX}trigger_runs_total`,
    help: "Finished attempts of triggers",
    labelNames: ["cluster", "trigger", "outcome"],
    registers,
  });
  const cutSize = new Histogram({
    name: `${PREFIX}cut_transitions`,
    help: "Transitions in one cut",
    buckets: [1, 2, 5, 10, 50, 100, 500],
    registers,
  });
  replica.onApplied(({ command, result }: AppliedEntry) => {
    if (command === null || !result.isAccepted) return;
    if (command.type === "cut") {
      cutSize.observe(command.transitions.length);
      for (const { node, from, to } of command.transitions)
        transitions.inc({ cluster: node.cluster, from, to });
    }
    if (command.type === "finishRun") {
      const run = replica.state.runs.get(command.runId);
      const outcome = command.isSuccess ? "succeeded" : "failed";
      if (run !== undefined) runs.inc({ cluster: run.cluster, trigger: run.trigger, outcome });
    }
  });
}

function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[] = [],
  collect?: (self: Gauge) => void,
): Gauge {
  return new Gauge({
    name: `${PREFIX}${name}`,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    ...(collect === undefined
      ? {}
      : {
          collect(this: Gauge) {
            collect(this);
          },
        }),
  });
}
