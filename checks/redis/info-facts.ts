import type { Facts } from "../../common/model/observation.js";
import { numberOf, type InfoFields } from "./info-text.js";
import type { RedisRole } from "./role.js";

/** What one run of `info` learnt. */
export type InfoAnswers = {
  readonly role: RedisRole;
  readonly fields: InfoFields;
  /** CONFIG GET min-replicas-to-write; null: not asked, or not told. */
  readonly minReplicasToWrite: number | null;
};

/** A link that never was up is told as -1, or by old servers as the seconds since 1970. */
const NEVER_UP_SECONDS = 1_000_000_000;
const KEPT_FIELDS = [
  "run_id",
  "redis_version",
  "redis_mode",
  "uptime_in_seconds",
  "master_replid",
  "master_repl_offset",
  "slave_repl_offset",
  "slave_read_repl_offset",
  "slave_priority",
  "master_link_status",
  "master_last_io_seconds_ago",
  "master_link_down_since_seconds",
  "master_sync_in_progress",
  "connected_slaves",
  "loading",
  "loading_eta_seconds",
  "used_memory",
  "maxmemory",
  "maxmemory_policy",
  "connected_clients",
  "maxclients",
  "blocked_clients",
  "rejected_connections",
  "evicted_keys",
  "latest_fork_usec",
  "rdb_last_bgsave_status",
  "aof_last_write_status",
] as const;

/** Facts under INFO's own names, and under ours where INFO has none or an unclear one. */
export function factsOf({ role, fields }: InfoAnswers): Facts {
  const facts: Record<string, string> = { role: role.kind };
  for (const name of KEPT_FIELDS) {
    const value = fields.get(name);
    if (value !== undefined && value !== "") facts[name] = value;
  }
  if (role.kind === "replica") {
    facts.primary = role.primary;
    facts.link = role.link;
    const seconds = lagSeconds(fields);
    const bytes = lagBytes(fields);
    if (seconds !== undefined) facts.lag_seconds = String(seconds);
    if (bytes !== undefined) facts.lag_bytes = String(bytes);
  }
  if (role.kind === "primary" && role.replicas.length > 0) {
    const behind = role.replicas.map(({ addr, offset }) => `${addr}=${Math.max(0, role.offset - offset)}`);
    facts.replica_lag_bytes = behind.sort().join(" ");
  }
  return facts;
}

/** Seconds since it last heard of its primary, or since it lost it; undefined: not known. */
export function lagSeconds(fields: InfoFields): number | undefined {
  const heard = numberOf(fields, "master_last_io_seconds_ago");
  if (heard !== undefined && heard >= 0) return heard;
  return linkDownSeconds(fields);
}

/** Seconds since a replica lost its primary; undefined: it has it, or never had. */
export function linkDownSeconds(fields: InfoFields): number | undefined {
  const seconds = numberOf(fields, "master_link_down_since_seconds");
  return seconds === undefined || seconds < 0 || seconds > NEVER_UP_SECONDS ? undefined : seconds;
}

/** Bytes that it received of its primary, but has not applied. */
export function lagBytes(fields: InfoFields): number | undefined {
  const received = numberOf(fields, "slave_read_repl_offset");
  const applied = numberOf(fields, "slave_repl_offset");
  return received === undefined || applied === undefined ? undefined : Math.max(0, received - applied);
}
