import { z } from "zod";
import { check } from "../checks/index.js";
import { CONFIG_DEFAULTS } from "../defaults.js";
import type { ClusterType, PolicyConfig } from "../model.js";
import { listedBalancer, namedBalancer } from "./balancer.js";
import { node } from "./node.js";
import { trigger } from "./trigger.js";
import { duration, name, share } from "./values.js";

const DEFAULTS = CONFIG_DEFAULTS.policy;

/** The seed's names beside ours. */
export const CLUSTER_TYPES = {
  redis: "redis",
  http: "http",
  tcp: "tcp",
  grpc: "grpc",
  "clusterduck-redis": "redis",
  "clusterduck-http": "http",
} as const satisfies Readonly<Record<string, ClusterType>>;

const clusterType = z
  .enum(Object.keys(CLUSTER_TYPES) as [keyof typeof CLUSTER_TYPES, ...(keyof typeof CLUSTER_TYPES)[]])
  .transform((word): ClusterType => CLUSTER_TYPES[word]);

const policy = z
  .strictObject({
    quorum: z
      .union([z.enum(["majority", "any", "all"]), z.int().min(1).max(99)], {
        error: "is not a quorum: use majority, any, all or a number of coordinators",
      })
      .default(DEFAULTS.quorum)
      .describe("Votes that must say down, over the configured coordinators"),
    damping: z
      .boolean()
      .default(DEFAULTS.isDampingEnabled)
      .describe("Hold a flapping node back before it returns"),
    removal_budget: share
      .prefault(DEFAULTS.removalBudget)
      .describe("Share of the nodes that timeouts alone may remove"),
    panic_threshold: share
      .prefault(DEFAULTS.panicThreshold)
      .describe("Over this share of bad nodes, all that are not certainly dead are used"),
  })
  .transform((value): PolicyConfig => ({
    quorum: value.quorum,
    isDampingEnabled: value.damping,
    removalBudget: value.removal_budget,
    panicThreshold: value.panic_threshold,
  }));

const count = z.int().min(0).max(100_000);

/** One cluster, before its name is known. */
export const cluster = z
  .strictObject({
    type: clusterType.describe("What the nodes speak"),
    nodes: z.array(node).prefault([]).describe("May be left out: nodes can be added later"),
    health_checks: z.array(check).prefault([]).describe("A node is healthy when all of them pass"),
    triggers: z.array(trigger).prefault([]).describe("What to run when something changes"),
    balancers: z
      .union([z.array(listedBalancer), z.record(name, namedBalancer)], {
        error: "expected a list of balancers, or a mapping by name",
      })
      .prefault([])
      .describe("Proxies that send traffic to this cluster"),
    min_active_nodes: count
      .default(CONFIG_DEFAULTS.cluster.minActiveNodes)
      .describe("Activate spares below this number"),
    min_spare_nodes: count
      .default(CONFIG_DEFAULTS.cluster.minSpareNodes)
      .describe("Say so when fewer are in reserve"),
    purge_unavailable: duration({ minMs: 1000 })
      .optional()
      .describe("Remove nodes that stayed down this long"),
    pass_without_checks: z
      .boolean()
      .default(CONFIG_DEFAULTS.cluster.passWithoutChecks)
      .describe("Without checks, count the nodes as healthy"),
    policy: policy
      .prefault({})
      .describe("How votes become decisions, and what protects the cluster from them"),
  })
  .transform((value) => ({
    type: value.type,
    nodes: value.nodes,
    checks: value.health_checks,
    triggers: value.triggers,
    balancers: Array.isArray(value.balancers)
      ? value.balancers.map((balancer, index) => ({ ...balancer, key: index }))
      : Object.entries(value.balancers).map(([key, balancer]) => ({ ...balancer, name: key, key })),
    passWithoutChecks: value.pass_without_checks,
    minActiveNodes: value.min_active_nodes,
    minSpareNodes: value.min_spare_nodes,
    purgeUnavailableMs: value.purge_unavailable ?? null,
    policy: value.policy,
  }));
export const CLUSTER_KEYS: readonly string[] = Object.keys(cluster.in.shape);
export type ClusterEntry = z.output<typeof cluster>;
