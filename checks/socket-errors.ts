import { ClusterduckError, messageOf } from "../common/errors.js";
import type { Observation, Reason } from "../common/model/observation.js";

export type ErrorReason = {
  readonly reason: Reason;
  /** The raw text, on one line, for people. */
  readonly detail: string;
  /** The fault is on our side (no descriptors, no permission, unreadable file): it says nothing about the service. */
  readonly isObserverFault: boolean;
};

/** What the errors of sockets, resolver, TLS, HTTP parser and undici mean. */
const REASON_OF_CODE: Readonly<Record<string, Reason>> = {
  ECONNREFUSED: "refused",
  // A unix socket that is not there: nobody listens.
  ENOENT: "refused",
  ETIMEDOUT: "timedOut",
  ESOCKETTIMEDOUT: "timedOut",
  ABORT_ERR: "timedOut",
  UND_ERR_ABORTED: "timedOut",
  UND_ERR_CONNECT_TIMEOUT: "timedOut",
  UND_ERR_HEADERS_TIMEOUT: "timedOut",
  UND_ERR_BODY_TIMEOUT: "timedOut",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETDOWN: "unreachable",
  ENONET: "unreachable",
  ECONNRESET: "reset",
  ECONNABORTED: "reset",
  EPIPE: "reset",
  UND_ERR_SOCKET: "closed",
  ERR_STREAM_PREMATURE_CLOSE: "closed",
  ERR_SOCKET_CLOSED: "closed",
  ENOTFOUND: "dns",
  ENODATA: "dns",
  EAI_NONAME: "dns",
  EAI_NODATA: "dns",
  CERT_HAS_EXPIRED: "certificateExpiry",
  HOSTNAME_MISMATCH: "tls",
  DEPTH_ZERO_SELF_SIGNED_CERT: "tls",
  SELF_SIGNED_CERT_IN_CHAIN: "tls",
  INVALID_CA: "tls",
  EPROTO: "tls",
  UND_ERR_RESPONSE_EXCEEDED_SIZE: "tooLarge",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "tooLarge",
  UND_ERR_HEADERS_OVERFLOW: "tooLarge",
  HPE_HEADER_OVERFLOW: "tooLarge",
};
const REASON_OF_PREFIX: readonly (readonly [prefix: string, reason: Reason])[] = [
  ["CERT_", "tls"],
  ["CRL_", "tls"],
  ["UNABLE_TO_", "tls"],
  ["ERR_TLS_", "tls"],
  ["ERR_SSL_", "tls"],
  ["HPE_", "protocol"],
  ["UND_ERR_", "protocol"],
];
/** The resolver did not answer us: it may know the name well. */
const RESOLVER_CODES: ReadonlySet<string> = new Set(["EAI_AGAIN", "EAI_FAIL", "EAI_MEMORY", "EAI_SYSTEM"]);

/**
 * What an error of a connection says about the service. An error that nobody knows counts as ours:
 * in doubt a node is held, not removed.
 */
export function reasonOfError(error: unknown): ErrorReason {
  // Ours: a file of this host that an option names cannot be read, for example.
  if (error instanceof ClusterduckError) {
    return { reason: "internal", detail: messageOf(error), isObserverFault: true };
  }
  const detail = detailOf(error);
  const reasons = codesOf(error).map(reasonOfCode);
  const known = reasons.filter((entry) => entry !== undefined);
  // Of several addresses tried, "refused" counts only when all refused: it is the strongest evidence.
  const chosen = known.find((entry) => entry.reason !== "refused") ?? known[0];
  if (chosen !== undefined) return { ...chosen, detail };
  if (isAbort(error)) return { reason: "timedOut", detail, isObserverFault: false };
  return { reason: "internal", detail, isObserverFault: true };
}

/** The observation that an error amounts to. */
export function observationOfError(error: unknown, latencyMs: number): Observation {
  const { reason, detail, isObserverFault } = reasonOfError(error);
  return { outcome: isObserverFault ? "inconclusive" : "failed", reason, detail, latencyMs };
}

function reasonOfCode(code: string): Omit<ErrorReason, "detail"> | undefined {
  if (RESOLVER_CODES.has(code)) return { reason: "dns", isObserverFault: true };
  const reason = REASON_OF_CODE[code] ?? REASON_OF_PREFIX.find(([prefix]) => code.startsWith(prefix))?.[1];
  return reason === undefined ? undefined : { reason, isObserverFault: false };
}

/** Codes of an error, of the errors it gathers (one per address tried), or else of its causes. */
function codesOf(error: unknown, depth = 0): readonly string[] {
  if (typeof error !== "object" || error === null || depth > 4) return [];
  const gathered =
    error instanceof AggregateError ? error.errors.flatMap((inner) => codesOf(inner, depth + 1)) : [];
  if (gathered.length > 0) return gathered;
  const cause = "cause" in error ? codesOf(error.cause, depth + 1) : [];
  if (cause.length > 0) return cause;
  return "code" in error && typeof error.code === "string" ? [error.code] : [];
}

function detailOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(messageOf))].join("; ");
  }
  if (error instanceof Error && error.cause instanceof Error) {
    const own = messageOf(error);
    const cause = detailOf(error.cause);
    return own.includes(cause) ? own : `${own}: ${cause}`;
  }
  return messageOf(error);
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
}
