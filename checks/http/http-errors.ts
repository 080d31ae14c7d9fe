import type { Observation } from "../../common/model/observation.js";
import { observationOfError } from "../socket-errors.js";

/** The node answers, but does not speak what the check asks for. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code = "PROTOCOL";
}

/** The node's headers do not end where those of any service do. */
export class HeadersTooLargeError extends Error {
  override readonly name = "HeadersTooLargeError";
  readonly code = "HPE_HEADER_OVERFLOW";

  constructor(maxBytes: number) {
    super(`the headers are longer than ${maxBytes} bytes`);
  }
}

/** The node closed the connection in an orderly way before its answer had ended. */
export class PeerClosedError extends Error {
  override readonly name = "PeerClosedError";
  readonly code = "ERR_SOCKET_CLOSED";

  constructor() {
    super("the service closed the connection");
  }
}

/** The observation of a failed exchange: what sockets say, and what HTTP/2 and our own rules add. */
export function observationOfHttpError(error: unknown, latencyMs: number): Observation {
  const code = codeOf(error);
  // undici's parser errors have no code of their own.
  const isParserError = error instanceof Error && error.name === "HTTPParserError";
  if (error instanceof ProtocolError || isParserError || code.startsWith("ERR_HTTP2_")) {
    return { outcome: "failed", reason: "protocol", detail: observationDetail(error), latencyMs };
  }
  return observationOfError(error, latencyMs);
}

/** The peer closed or reset the connection before anything of the answer came. */
export function isClosedByPeer(error: unknown): boolean {
  return [
    "ERR_SOCKET_CLOSED",
    "UND_ERR_SOCKET",
    "ECONNRESET",
    "EPIPE",
    "ERR_HTTP2_GOAWAY_SESSION",
    "ERR_HTTP2_INVALID_SESSION",
  ].includes(codeOf(error));
}

export function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}

function observationDetail(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
