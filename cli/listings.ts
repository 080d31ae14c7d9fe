import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";

import { enumWord } from "../common/wire/enums.js";
import {
  AgentSchema,
  BalancerSchema,
  CheckStatusSchema,
  ClusterSummarySchema,
  NodeSchema,
  RunSchema,
  TriggerSchema,
} from "../proto/gen/clusterduck/v1/control_pb.js";
import { NodeStateSchema, OutcomeSchema } from "../proto/gen/clusterduck/v1/model_pb.js";
import type { NodeState, Outcome } from "../proto/gen/clusterduck/v1/model_pb.js";
import type { CliIo } from "./io.js";
import { formatAge } from "./output/age.js";
import { paint, paintState } from "./output/paint.js";
import type { Listing } from "./output/print.js";

/** Hashes are shown as far as people compare them. */
const GENERATION_SHOWN = 12;

export function stateWord(state: NodeState): string {
  return enumWord(NodeStateSchema, state);
}

export function outcomeWord(outcome: Outcome): string {
  return enumWord(OutcomeSchema, outcome);
}

export function age(time: Timestamp | undefined, io: CliIo): string {
  return time === undefined ? "-" : formatAge(io.nowMs() - timestampMs(time));
}

/** An attribute's value: text as it is, the rest as JSON. */
export function formatValue(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function generationWord(generation: string): string {
  return generation === "" ? "-" : generation.slice(0, GENERATION_SHOWN);
}

export const CLUSTERS: Listing<typeof ClusterSummarySchema> = {
  schema: ClusterSummarySchema,
  none: "The configuration has no clusters",
  name: (cluster) => cluster.name,
  columns: (io) => [
    { header: "NAME", value: (cluster) => cluster.name },
    { header: "TYPE", value: (cluster) => cluster.type },
    { header: "NODES", value: (cluster) => String(cluster.nodes) },
    { header: "ACTIVE", value: (cluster) => String(cluster.active) },
    { header: "HEALTHY", value: (cluster) => String(cluster.healthy) },
    { header: "DEGRADED", value: (cluster) => String(cluster.degraded) },
    { header: "DOWN", value: (cluster) => String(cluster.down) },
    { header: "UNKNOWN", value: (cluster) => String(cluster.unknown) },
    { header: "NOTE", value: (cluster) => (cluster.isInPanic ? paint("PANIC", "red", io) : "") },
    { header: "CHECKS", value: (cluster) => String(cluster.checks), isWide: true },
    { header: "TRIGGERS", value: (cluster) => String(cluster.triggers), isWide: true },
    { header: "BALANCERS", value: (cluster) => cluster.balancers.join(","), isWide: true },
  ],
};

export const NODES: Listing<typeof NodeSchema> = {
  schema: NodeSchema,
  none: "No nodes",
  name: (node) => `${node.cluster}/${node.addr}`,
  columns: (io) => [
    { header: "CLUSTER", value: (node) => node.cluster },
    { header: "ADDR", value: (node) => node.addr },
    { header: "STATE", value: (node) => paintState(stateWord(node.state), io) },
    {
      header: "INTENT",
      value: (node) => (node.overlay === "" ? "serve" : paint(node.overlay, "yellow", io)),
    },
    { header: "SINCE", value: (node) => age(node.since, io) },
    { header: "LATENCY", value: (node) => (node.latencyMs === 0 ? "-" : `${node.latencyMs.toFixed(1)}ms`) },
    { header: "CAUSE", value: (node) => node.cause },
    { header: "CUT", value: (node) => (node.cutIndex === 0n ? "-" : String(node.cutIndex)), isWide: true },
    { header: "AGENT", value: (node) => node.agent || "-", isWide: true },
    { header: "SOURCE", value: (node) => node.source, isWide: true },
    {
      header: "ATTRIBUTES",
      value: (node) =>
        Object.entries(node.attributes ?? {})
          .map(([name, value]) => `${name}=${formatValue(value)}`)
          .join(","),
      isWide: true,
    },
  ],
};

export const CHECKS: Listing<typeof CheckStatusSchema> = {
  schema: CheckStatusSchema,
  none: "No checks",
  name: (check) => `${check.cluster}/${check.addr}/${check.check}`,
  columns: (io) => [
    { header: "CLUSTER", value: (check) => check.cluster },
    { header: "ADDR", value: (check) => check.addr },
    { header: "CHECK", value: (check) => check.check },
    {
      header: "OBSERVED",
      value: (check) =>
        check.observers.length === 0
          ? "-"
          : check.observers
              .map(
                (each) =>
                  `${paintState(outcomeWord(each.outcome), io)} ${each.consecutive}x by ${each.observer}`,
              )
              .join(", "),
    },
    {
      header: "LATENCY",
      value: (check) => {
        const passed = check.observers.filter((each) => each.latencyMs > 0).map((each) => each.latencyMs);
        return passed.length === 0 ? "-" : `${Math.min(...passed).toFixed(1)}ms`;
      },
    },
    { header: "DETAIL", value: (check) => check.observers.find((each) => each.detail !== "")?.detail ?? "" },
    { header: "TYPE", value: (check) => check.type, isWide: true },
    { header: "EVERY", value: (check) => `${check.everyMs}ms`, isWide: true },
    { header: "TIMEOUT", value: (check) => `${check.timeoutMs}ms`, isWide: true },
    { header: "FALL/RISE", value: (check) => `${check.fall}/${check.rise}`, isWide: true },
  ],
};

export const TRIGGERS: Listing<typeof TriggerSchema> = {
  schema: TriggerSchema,
  none: "No triggers",
  name: (trigger) => `${trigger.cluster}/${trigger.id}`,
  columns: (io) => [
    { header: "CLUSTER", value: (trigger) => trigger.cluster },
    { header: "TRIGGER", value: (trigger) => trigger.id },
    { header: "ON", value: (trigger) => trigger.on.join(",") },
    { header: "RUNS", value: (trigger) => String(trigger.runs) },
    {
      header: "LAST",
      value: (trigger) => (trigger.lastOutcome === "" ? "-" : paintState(trigger.lastOutcome, io)),
    },
    { header: "AGE", value: (trigger) => age(trigger.lastAt, io) },
    { header: "DOES", value: (trigger) => trigger.actions.join("; "), isWide: true },
  ],
};

export const RUNS: Listing<typeof RunSchema> = {
  schema: RunSchema,
  none: "No runs",
  name: (run) => run.id,
  columns: (io) => [
    { header: "RUN", value: (run) => run.id },
    { header: "CLUSTER", value: (run) => run.cluster },
    { header: "TRIGGER", value: (run) => run.trigger },
    { header: "EVENT", value: (run) => run.event },
    { header: "OUTCOME", value: (run) => paintState(run.outcome, io) },
    {
      header: "EXIT",
      value: (run) => (run.exitCode === undefined ? run.signal || "-" : String(run.exitCode)),
    },
    { header: "AGE", value: (run) => age(run.finishedAt ?? run.createdAt, io) },
    {
      header: "OUTPUT",
      value: (run) => (run.error === "" ? (run.outputTail.trim().split("\n").at(-1) ?? "") : run.error),
    },
    { header: "ATTEMPTS", value: (run) => String(run.attempts), isWide: true },
  ],
};

export const AGENTS: Listing<typeof AgentSchema> = {
  schema: AgentSchema,
  none: "No agents: coordinators probe all nodes themselves",
  name: (agent) => agent.id,
  columns: (io) => [
    { header: "AGENT", value: (agent) => agent.id },
    { header: "STATE", value: (agent) => paintState(agent.state, io) },
    { header: "SINCE", value: (agent) => age(agent.since, io) },
    { header: "HOST", value: (agent) => agent.host },
    { header: "NODES", value: (agent) => String(agent.nodes) },
    {
      header: "SELF-DOUBT",
      value: (agent) => (agent.selfDoubt === 0 ? "-" : `${agent.selfDoubt} of 8: ${agent.selfDoubtCause}`),
    },
    { header: "ZONE", value: (agent) => agent.zone || "-", isWide: true },
    { header: "VERSION", value: (agent) => agent.version, isWide: true },
    { header: "PROXIES", value: (agent) => agent.proxies.join(",") || "-", isWide: true },
  ],
};

export const BALANCERS: Listing<typeof BalancerSchema> = {
  schema: BalancerSchema,
  none: "No balancers",
  name: (balancer) => balancer.name,
  columns: (io) => [
    { header: "BALANCER", value: (balancer) => balancer.name },
    { header: "TYPE", value: (balancer) => balancer.type },
    { header: "CLUSTERS", value: (balancer) => balancer.clusters.join(",") },
    { header: "WANTED", value: (balancer) => generationWord(balancer.wantedGeneration) },
    {
      header: "PROXIES",
      value: (balancer) =>
        balancer.proxies.length === 0
          ? "-"
          : balancer.proxies.map((proxy) => `${proxy.target}: ${paintState(proxy.state, io)}`).join(", "),
    },
    {
      header: "ERROR",
      value: (balancer) => balancer.proxies.find((proxy) => proxy.error !== "")?.error ?? "",
    },
    {
      header: "APPLIED",
      value: (balancer) => balancer.proxies.map((proxy) => generationWord(proxy.appliedGeneration)).join(","),
      isWide: true,
    },
    {
      header: "OBSERVED",
      value: (balancer) =>
        balancer.proxies.map((proxy) => generationWord(proxy.observedGeneration)).join(","),
      isWide: true,
    },
    {
      header: "METHOD",
      value: (balancer) =>
        balancer.proxies.map((proxy) => `${proxy.method || "-"} ${proxy.durationMs.toFixed(0)}ms`).join(","),
      isWide: true,
    },
  ],
};
