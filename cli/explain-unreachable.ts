import { formatDuration } from "../common/duration.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
import { isUnsent } from "../common/grpc/unsent.js";

/** Who was asked, and how that went. */
export type Attempts = {
  readonly servers: readonly string[];
  /** What the newest call that failed at each server met there, by address. */
  readonly failures: ReadonlyMap<string, unknown>;
  readonly timeoutMs: number;
};

/**
 * A call's error as an operator can use it: which servers do not answer, what is known of each, and what would
 * work. Everything but silence is left as it is, also where a server's silence came with a hint of its own.
 */
export function explainUnreachable(thrown: unknown, attempts: Attempts): unknown {
  if (!(thrown instanceof ClusterduckError)) return thrown;
  if (thrown.code === "TIMED_OUT") return tookTooLong(thrown, attempts);
  if (thrown.code !== "UNREACHABLE" || thrown.hint !== undefined) return thrown;
  const message = isUnsent(thrown) ? nobodyReached(thrown, attempts) : lost(thrown, attempts);
  return new ClusterduckError("UNREACHABLE", message, {
    cause: thrown,
    hint: "start one with `duck-coordinator`, or name it with --server HOST:PORT or DUCK_SERVER",
  });
}

function tookTooLong(thrown: ClusterduckError, attempts: Attempts): ClusterduckError {
  const within = formatDuration(attempts.timeoutMs);
  return new ClusterduckError("TIMED_OUT", `No answer from ${metBy(thrown, attempts)} within ${within}`, {
    cause: thrown,
    hint: "give it longer with --timeout, as in --timeout 30s",
  });
}

/** The call may have got to a server, and so was made at no other. */
function lost(thrown: ClusterduckError, attempts: Attempts): string {
  return cannotReach(metBy(thrown, attempts), reasonOf(thrown.message));
}

/** The call got to none of the servers: each has its own reason, unless all have the same. */
function nobodyReached(thrown: ClusterduckError, { servers, failures }: Attempts): string {
  const reasons = servers.map((server) => {
    const failure = failures.get(server) ?? thrown;
    return isUnsent(failure) ? reasonOf(messageOf(failure)) : messageOf(failure);
  });
  const [first = ""] = reasons;
  if (reasons.every((reason) => reason === first)) return cannotReach(servers.join(", "), first);
  const each = servers.map((server, at) => `${server}: ${reasons[at] || "no answer"}`);
  return `Cannot reach a coordinator: ${each.join("; ")}`;
}

function cannotReach(where: string, reason: string): string {
  return `Cannot reach a coordinator at ${where}${reason === "" ? "" : `: ${reason}`}`;
}

/** The server at which it happened, or all of them where that is not known. */
function metBy(thrown: ClusterduckError, { servers, failures }: Attempts): string {
  return servers.find((server) => failures.get(server) === thrown) ?? servers.join(", ");
}

/** The few words of a transport's error that help. */
function reasonOf(message: string): string {
  if (/ECONNREFUSED/.test(message)) return "connection refused";
  if (/Name resolution failed|ENOTFOUND|EAI_AGAIN/.test(message)) return "the host's name is not known";
  if (/ENOENT/.test(message)) return "there is no such socket";
  if (/EACCES|EPERM/.test(message)) return "permission denied";
  if (/ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|no connection (within|in time)/.test(message))
    return "the host does not answer";
  if (/ECONNRESET|PROTOCOL_ERROR|HPE_|does not speak gRPC|closed/i.test(message))
    return "what listens there does not speak gRPC";
  return "";
}
