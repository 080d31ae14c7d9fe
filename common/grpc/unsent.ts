import { ClusterduckError } from "../errors.js";

/**
 * What is said when no connection came about. Some of these codes can also end a connection that was there, as in
 * "read EHOSTUNREACH": then nobody knows how far the call got.
 */
const NO_CONNECTION =
  /connect (ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ENOENT)|ENOTFOUND|EAI_AGAIN|Name resolution failed|no connection (within|in time)/;

/** In words that `isUnsent` knows. */
export function noConnectionWithin(durationMs: number): string {
  return `no connection within ${durationMs} ms`;
}

/** The call's own time was over before there was a connection, in words that `isUnsent` knows. */
export const NO_CONNECTION_IN_TIME = "no connection in time";

/**
 * Whether a call certainly has not reached anybody: no connection could be made. Then it may be made again
 * elsewhere, also when it changes something.
 */
export function isUnsent(thrown: unknown): boolean {
  if (!(thrown instanceof ClusterduckError)) return false;
  const { code, message } = thrown;
  return (code === "UNREACHABLE" || code === "TIMED_OUT") && NO_CONNECTION.test(message);
}
