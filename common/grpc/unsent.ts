import { ClusterduckError } from "../errors.js";

/** What the socket says when no connection came about. */
const NO_CONNECTION =
  /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT|Name resolution failed/;

/**
 * Whether a call certainly has not reached anybody: no connection could be made. Then it may be made again
 * elsewhere, also when it changes something.
 */
export function isUnsent(thrown: unknown): boolean {
  return (
    thrown instanceof ClusterduckError && thrown.code === "UNREACHABLE" && NO_CONNECTION.test(thrown.message)
  );
}
