import type { InfoFields } from "./info-text.js";

/** What ROLE says. */
export type RedisRole =
  | { readonly kind: "primary"; readonly offset: number; readonly replicas: readonly ReplicaOfPrimary[] }
  | {
      readonly kind: "replica";
      readonly primary: string;
      /** `connect`, `connecting`, `handshake`, `sync` or `connected`. */
      readonly link: string;
      readonly offset: number;
    }
  | { readonly kind: "sentinel" }
  | { readonly kind: "unknown"; readonly text: string };

export type ReplicaOfPrimary = { readonly addr: string; readonly offset: number };

/** Reads ROLE's reply: nested arrays of text and numbers. */
export function parseRole(reply: unknown): RedisRole {
  const parts: readonly unknown[] = Array.isArray(reply) ? reply : [];
  switch (parts[0]) {
    case "master":
      return { kind: "primary", offset: Number(parts[1]), replicas: replicasOf(parts[2]) };
    case "slave":
      return {
        kind: "replica",
        primary: joinAddress(parts[1], parts[2]),
        link: String(parts[3]),
        offset: Number(parts[4]),
      };
    case "sentinel":
      return { kind: "sentinel" };
    default:
      return { kind: "unknown", text: JSON.stringify(reply).slice(0, 120) };
  }
}

function replicasOf(part: unknown): readonly ReplicaOfPrimary[] {
  const rows: readonly unknown[] = Array.isArray(part) ? part : [];
  return rows.filter(Array.isArray).map((row: readonly unknown[]) => ({
    addr: joinAddress(row[0], row[1]),
    offset: Number(row[2]),
  }));
}

function joinAddress(host: unknown, port: unknown): string {
  const name = String(host);
  return name.includes(":") ? `[${name}]:${String(port)}` : `${name}:${String(port)}`;
}

/** The same from INFO, for users whose ACL does not allow ROLE. */
export function roleFromInfo(fields: InfoFields): RedisRole {
  switch (fields.get("role")) {
    case "master":
      return { kind: "primary", offset: Number(fields.get("master_repl_offset")), replicas: [] };
    case "slave":
      return {
        kind: "replica",
        primary: joinAddress(fields.get("master_host"), fields.get("master_port")),
        link: linkFromInfo(fields),
        offset: Number(fields.get("slave_repl_offset")),
      };
    default:
      return fields.get("redis_mode") === "sentinel"
        ? { kind: "sentinel" }
        : { kind: "unknown", text: "INFO without a role" };
  }
}

function linkFromInfo(fields: InfoFields): string {
  if (fields.get("master_link_status") === "up") return "connected";
  return fields.get("master_sync_in_progress") === "1" ? "sync" : "connect";
}
