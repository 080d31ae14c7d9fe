import { ClusterduckError } from "../errors.js";

/**
 * What is said when no connection came about. Some of these codes can also end a connection that was there, as in
 * "read EHOSTUNREACH": then nobody knows how far the call got.
 */
const NO_CONNECTION =
  /connect (ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ENOENT)|ENOTFOUND|EAI_AGAIN|Name resolution failed|no connection within/;

/** In words that `isUnsent` knows. */
export function noConnectionWithin(durationMs: number): string {
  return `no connection within ${durationMs} ms`;
}

/**
 * Whether a call certainly has not reached anybody: no connection could be made. Then it may be made again
 * elsewhere, also when it changes something.
 */
export function isUnsent(thrown: unknown): boolean {
  return (
    thrown instanceof ClusterduckError && thrown.code === "UNREACHABLE" && NO_CONNECTION.test(thrown.message)
  );
}
