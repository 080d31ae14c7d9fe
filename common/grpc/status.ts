import { Metadata, status } from "@grpc/grpc-js";
import type { StatusObject } from "@grpc/grpc-js";
import type { ErrorCode } from "../errors.js";
import { ClusterduckError } from "../errors.js";
import { NO_CONNECTION_IN_TIME } from "./unsent.js";

const STATUS_OF: Readonly<Record<ErrorCode, status>> = {
  CONFIG_INVALID: status.INVALID_ARGUMENT,
  CONFIG_UNREADABLE: status.FAILED_PRECONDITION,
  CONFLICT: status.ABORTED,
  NOT_FOUND: status.NOT_FOUND,
  NOT_LEADER: status.FAILED_PRECONDITION,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  UNREACHABLE: status.UNAVAILABLE,
  OUTCOME_UNKNOWN: status.UNAVAILABLE,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  NOT_ADMITTED: status.PERMISSION_DENIED,
  TIMED_OUT: status.DEADLINE_EXCEEDED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  DISK_FAILED: status.INTERNAL,
  DISK_FULL: status.RESOURCE_EXHAUSTED,
  LOG_CORRUPT: status.DATA_LOSS,
  LOG_LOCKED: status.FAILED_PRECONDITION,
  VERSION_UNSUPPORTED: status.FAILED_PRECONDITION,
  LISTEN_FAILED: status.INTERNAL,
  ALREADY_RUNNING: status.FAILED_PRECONDITION,
  NOT_RUNNING: status.FAILED_PRECONDITION,
  COMMAND_FAILED: status.INTERNAL,
  STOPPING: status.UNAVAILABLE,
};

const CODE_KEY = "duck-code";
/** Binary, as gRPC metadata are ASCII and hints are not. */
const HINT_KEY = "duck-hint-bin";
/** HTTP/2 peers refuse headers beyond some kilobytes. */
const MESSAGE_MAX_CHARS = 2_000;

/** A ClusterduckError as a gRPC status: the nearest status for other tools, the exact code and hint in the trailers. */
export function statusFromError(error: ClusterduckError): StatusObject {
  const metadata = new Metadata();
  metadata.set(CODE_KEY, error.code);
  if (error.hint !== undefined) metadata.set(HINT_KEY, Buffer.from(error.hint.slice(0, MESSAGE_MAX_CHARS)));
  return {
    code: STATUS_OF[error.code],
    details: wellFormed(error.message.slice(0, MESSAGE_MAX_CHARS)),
    metadata,
  };
}

/** Said of a server that has no such service, or no such method of it. */
export const UNKNOWN_CALL = "does not know this call";

/** What a call to `address` threw, as a ClusterduckError; one that the server sent comes back as it was. */
export function errorFromStatus(thrown: unknown, address: string): ClusterduckError {
  if (thrown instanceof ClusterduckError) return thrown;
  if (!isStatus(thrown)) {
    return new ClusterduckError("UNREACHABLE", `Cannot call ${address}: ${String(thrown)}`, {
      cause: thrown,
    });
  }
  const code = thrown.metadata?.get(CODE_KEY)[0];
  if (typeof code === "string" && Object.hasOwn(STATUS_OF, code)) {
    const hint = thrown.metadata?.get(HINT_KEY)[0];
    return new ClusterduckError(code as ErrorCode, thrown.details, {
      cause: thrown,
      ...(hint === undefined ? {} : { hint: hint.toString() }),
    });
  }
  return translate(thrown, address);
}

/** Whether these are a coordinator's own words, and not ours about a call that found none. */
export function isAnswer(error: ClusterduckError): boolean {
  return isStatus(error.cause) && typeof error.cause.metadata?.get(CODE_KEY)[0] === "string";
}

/** What gRPC itself says, in our words. */
function translate(thrown: Status, address: string): ClusterduckError {
  const options = { cause: thrown };
  switch (thrown.code) {
    case status.UNAVAILABLE:
      return new ClusterduckError(
        "UNREACHABLE",
        `Cannot reach ${address}: ${lastError(thrown.details)}`,
        options,
      );
    case status.DEADLINE_EXCEEDED:
      return new ClusterduckError(
        "TIMED_OUT",
        NEVER_PICKED.test(thrown.details)
          ? `No answer from ${address}: ${NO_CONNECTION_IN_TIME}`
          : `No answer from ${address} in time`,
        options,
      );
    case status.CANCELLED:
      return new ClusterduckError("STOPPING", `The call to ${address} was cancelled`, options);
    case status.UNIMPLEMENTED:
      return new ClusterduckError(
        "INVALID_ARGUMENT",
        `${address} ${UNKNOWN_CALL}: ${thrown.details}`,
        options,
      );
    case status.RESOURCE_EXHAUSTED:
      return new ClusterduckError(
        "INVALID_ARGUMENT",
        `A message to or from ${address} is too large: ${thrown.details}`,
        options,
      );
    default:
      return new ClusterduckError(
        "COMMAND_FAILED",
        `${address} answered ${status[thrown.code]}: ${thrown.details}`,
        options,
      );
  }
}

/** grpc-js wraps what the socket said into sentences about itself. */
function lastError(details: string): string {
  return /Last error: (?:Error: )?(.+?)\.? Resolution note/.exec(details)?.[1] ?? details;
}

/** How grpc-js says that a call was over before a connection had been found for it. */
const NEVER_PICKED = /Waiting for LB pick/;

type Status = { readonly code: status; readonly details: string; readonly metadata?: Metadata };

function isStatus(thrown: unknown): thrown is Status {
  return (
    typeof thrown === "object" &&
    thrown !== null &&
    typeof (thrown as { code?: unknown }).code === "number" &&
    typeof (thrown as { details?: unknown }).details === "string"
  );
}

/** Half a character (a lone surrogate) makes grpc-js throw while it encodes the status. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
