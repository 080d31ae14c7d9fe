import { createHmac, timingSafeEqual } from "node:crypto";
import { ClusterduckError } from "../../common/errors.js";
import type { TlsSource } from "../../common/tls/source.js";

/** What lets one coordinator join one tier, once. */
export type JoinToken = {
  /** Names the token, so that it is spent only once. */
  readonly id: string;
  /** The id of the coordinator that may join. */
  readonly coordinatorId: string;
  readonly clusterId: string;
  /** SHA-256 of the tier's certificate authority; empty without TLS. */
  readonly authority: string;
  /** Unix milliseconds. */
  readonly expiresAtMs: number;
};

const PREFIX = "duckjoin1";
const HINT = "Make another one: duckctl tokens create ID";

/** One word, safe in a shell. */
export function writeJoinToken(token: JoinToken, secret: string): string {
  const { id, coordinatorId, clusterId, authority, expiresAtMs } = token;
  const content = JSON.stringify([id, coordinatorId, clusterId, authority, expiresAtMs]);
  const body = `${PREFIX}.${Buffer.from(content).toString("base64url")}`;
  return `${body}.${sign(body, secret)}`;
}

/** What a tier's tokens name as `authority`. */
export function authorityOf(tls: TlsSource | null): string {
  return tls?.material.authorities[0]?.fingerprint ?? "";
}

/** Whether it has a token's form, as opposed to its id. */
export function isJoinToken(text: string): boolean {
  return text.trim().startsWith(`${PREFIX}.`);
}

/** What a token says, whoever wrote it. @throws ClusterduckError INVALID_ARGUMENT */
export function peekJoinToken(text: string): JoinToken {
  const [prefix, content, signature, ...rest] = text.trim().split(".");
  const fields = prefix === PREFIX && rest.length === 0 ? parse(content ?? "") : null;
  if (fields === null || signature === undefined) {
    throw new ClusterduckError("INVALID_ARGUMENT", "This is no join token: it is not whole", { hint: HINT });
  }
  return fields;
}

/**
 * Whether it was written by this tier, and still works; that it works once is for the log to say.
 * @throws ClusterduckError INVALID_ARGUMENT, NOT_ADMITTED with what would work.
 */
export function readJoinToken(text: string, secret: string, nowMs: number): JoinToken {
  const token = peekJoinToken(text);
  const at = text.trim().lastIndexOf(".");
  const expected = Buffer.from(sign(text.trim().slice(0, at), secret));
  const given = Buffer.from(text.trim().slice(at + 1));
  const isOurs = secret !== "" && given.length === expected.length && timingSafeEqual(given, expected);
  if (!isOurs) {
    throw new ClusterduckError("NOT_ADMITTED", "The join token was not made by this tier", {
      hint: HINT,
    });
  }
  if (token.expiresAtMs <= nowMs) {
    const end = new Date(token.expiresAtMs).toISOString();
    throw new ClusterduckError("NOT_ADMITTED", `The join token expired at ${end}`, { hint: HINT });
  }
  return token;
}

function sign(body: string, secret: string): string {
  return createHmac("sha256", secret).update(body).digest("base64url");
}

function parse(content: string): JoinToken | null {
  try {
    const fields: unknown = JSON.parse(Buffer.from(content, "base64url").toString("utf8"));
    if (!Array.isArray(fields)) return null;
    const [id, coordinatorId, clusterId, authority, expiresAtMs] = fields as readonly unknown[];
    const isWhole =
      typeof id === "string" &&
      typeof coordinatorId === "string" &&
      typeof clusterId === "string" &&
      typeof authority === "string" &&
      typeof expiresAtMs === "number";
    return isWhole ? { id, coordinatorId, clusterId, authority, expiresAtMs } : null;
  } catch {
    return null;
  }
}
