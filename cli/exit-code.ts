import { ClusterduckError } from "../common/errors.js";
import type { ErrorCode } from "../common/errors.js";

/** What a script can tell apart (docs/reference/duckctl.md). */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unreachable: 4,
  degraded: 5,
  conflict: 6,
  denied: 7,
  interrupted: 130,
} as const;

const BY_CODE: Partial<Readonly<Record<ErrorCode, number>>> = {
  INVALID_ARGUMENT: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  CONFIG_UNREADABLE: EXIT.usage,
  NOT_FOUND: EXIT.notFound,
  UNREACHABLE: EXIT.unreachable,
  TIMED_OUT: EXIT.unreachable,
  CONFLICT: EXIT.conflict,
};

export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof ClusterduckError ? (BY_CODE[thrown.code] ?? EXIT.failed) : EXIT.failed;
}
