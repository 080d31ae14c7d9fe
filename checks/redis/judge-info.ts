import type { InfoOptions } from "../../common/config/checks/info.js";
import { formatDuration } from "../../common/duration.js";
import { factsOf, lagBytes, lagSeconds, linkDownSeconds, type InfoAnswers } from "./info-facts.js";
import { numberOf, type InfoFields } from "./info-text.js";
import type { Finding } from "./replies.js";

type Rules = Pick<InfoOptions, "require_role" | "max_lag" | "max_lag_bytes" | "stale_replica">;
type Judge = (answers: InfoAnswers, rules: Rules) => Problem | null;
type Problem = Exclude<Finding, { readonly outcome: "passed" }>;

/** The first problem that applies decides: those that keep a node from serving come first. */
const JUDGES: readonly Judge[] = [
  isSentinel,
  isLoading,
  neverSynced,
  isWrongRole,
  lostPrimary,
  hasStaleData,
  cannotPersist,
  isFull,
  lacksReplicas,
  isPaused,
  isAtClientLimit,
  lagsBehind,
];

/** Pure: what INFO and ROLE together say of a server that answered both. */
export function judgeInfo(answers: InfoAnswers, rules: Rules): Finding {
  const facts = factsOf(answers);
  for (const judge of JUDGES) {
    const problem = judge(answers, rules);
    if (problem !== null) return { ...problem, facts };
  }
  return { outcome: "passed", facts, ...warningsOf(answers) };
}

function isSentinel({ role }: InfoAnswers): Problem | null {
  if (role.kind === "sentinel") return inconclusive("this is a Redis Sentinel, not a Redis server");
  return role.kind === "unknown" ? inconclusive(`ROLE answers ${role.text}`) : null;
}

function inconclusive(detail: string): Problem {
  return { outcome: "inconclusive", reason: "mismatch", detail };
}

function isLoading({ fields }: InfoAnswers): Problem | null {
  if (fields.get("loading") !== "1" && fields.get("async_loading") !== "1") return null;
  const eta = numberOf(fields, "loading_eta_seconds");
  // With async_loading a replica still serves its old data.
  const isServing = fields.get("loading") !== "1";
  return {
    outcome: isServing ? "degraded" : "failed",
    reason: "loading",
    detail: `loading its data${eta === undefined ? "" : `, ready in about ${eta} s`}`,
  };
}

/** Before its first synchronisation a replica answers nil to every read: worse than no answer. */
function neverSynced({ role, fields }: InfoAnswers): Problem | null {
  if (role.kind !== "replica" || role.link === "connected") return null;
  const wasEverUp =
    linkDownSeconds(fields) !== undefined || (numberOf(fields, "master_repl_offset") ?? 0) > 0;
  if (wasEverUp || hasKeys(fields)) return null;
  return {
    outcome: "failed",
    reason: "staleReplica",
    detail: `has not synchronised with its primary ${role.primary} yet (${role.link}): reads would find nothing`,
  };
}

/** INFO lists only the databases that hold keys. */
function hasKeys(fields: InfoFields): boolean {
  for (const name of fields.keys()) if (/^db\d+$/.test(name)) return true;
  return false;
}

function isWrongRole({ role }: InfoAnswers, { require_role: wanted }: Rules): Problem | null {
  if (wanted === undefined || role.kind === wanted) return null;
  return { outcome: "degraded", reason: "mismatch", detail: `is a ${role.kind}, must be a ${wanted}` };
}

function lostPrimary({ role, fields }: InfoAnswers, rules: Rules): Problem | null {
  if (role.kind !== "replica" || rules.stale_replica === "allowed") return null;
  if (fields.get("master_link_status") !== "down") return null;
  const seconds = linkDownSeconds(fields);
  const since = seconds === undefined ? "" : ` for ${seconds} s`;
  return {
    outcome: rules.stale_replica,
    reason: "staleReplica",
    detail: `has no link to its primary ${role.primary}${since} (${role.link}): reads find old data`,
  };
}

function hasStaleData({ role, fields }: InfoAnswers, { max_lag: maxLagMs }: Rules): Problem | null {
  const seconds = lagSeconds(fields);
  if (role.kind !== "replica" || maxLagMs === undefined || seconds === undefined) return null;
  if (seconds * 1000 <= maxLagMs) return null;
  const detail = `last heard of its primary ${seconds} s ago, max_lag is ${formatDuration(maxLagMs)}`;
  return { outcome: "degraded", reason: "staleReplica", detail };
}

function lagsBehind({ role, fields }: InfoAnswers, { max_lag_bytes: maxBytes }: Rules): Problem | null {
  const bytes = lagBytes(fields);
  if (role.kind !== "replica" || maxBytes === undefined || bytes === undefined || bytes <= maxBytes)
    return null;
  const detail = `is ${bytes} bytes behind what it has received, max_lag_bytes is ${maxBytes}`;
  return { outcome: "degraded", reason: "staleReplica", detail };
}

function cannotPersist({ fields }: InfoAnswers): Problem | null {
  if (fields.get("aof_last_write_status") !== "err") return null;
  return notWritable("cannot write its append-only file, so it refuses writes");
}

function isFull({ role, fields }: InfoAnswers): Problem | null {
  const limit = numberOf(fields, "maxmemory") ?? 0;
  const used = (numberOf(fields, "used_memory") ?? 0) - (numberOf(fields, "mem_not_counted_for_evict") ?? 0);
  // A replica follows its primary and does not enforce the limit itself (replica-ignore-maxmemory).
  if (role.kind !== "primary" || limit === 0 || fields.get("maxmemory_policy") !== "noeviction") return null;
  if (used <= limit) return null;
  return notWritable(`uses ${used} of ${limit} bytes and evicts nothing, so it refuses writes`);
}

/** INFO has this field only where `min-replicas-to-write` is set. */
function lacksReplicas({ role, fields, minReplicasToWrite }: InfoAnswers): Problem | null {
  const good = numberOf(fields, "min_slaves_good_slaves");
  if (role.kind !== "primary" || good === undefined || good >= (minReplicasToWrite ?? 1)) return null;
  const wanted =
    minReplicasToWrite === null ? "" : ` of the ${minReplicasToWrite} that min-replicas-to-write wants`;
  return notWritable(`has ${good} good replicas${wanted}, so it refuses writes`);
}

function isPaused({ fields }: InfoAnswers): Problem | null {
  const actions = fields.get("paused_actions") ?? "none";
  return actions === "none" ? null : notWritable(`clients are paused (${actions})`);
}

function isAtClientLimit({ fields }: InfoAnswers): Problem | null {
  const limit = numberOf(fields, "maxclients");
  const clients = numberOf(fields, "connected_clients");
  if (limit === undefined || clients === undefined || clients < limit) return null;
  const detail = `has ${clients} clients, and maxclients is ${limit}: new ones are refused`;
  return { outcome: "degraded", reason: "connectionLimit", detail };
}

function warningsOf({ fields }: InfoAnswers): { warnings?: readonly string[] } {
  if (fields.get("rdb_last_bgsave_status") !== "err") return {};
  return { warnings: ["the last RDB save failed: its data may not survive a restart"] };
}

function notWritable(detail: string): Problem {
  return { outcome: "degraded", reason: "notWritable", detail };
}
