import type { ErrorCode } from "./errors.js";
import { ClusterduckError } from "./errors.js";

/** What scripts can tell apart, the same for all programs. */
export const EXIT = {
  ok: 0,
  /** A retry may help. */
  failed: 1,
  /** The call or the configuration is wrong. */
  usage: 2,
  notFound: 3,
  unreachable: 4,
  /** It answers, and not all is well. */
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
  NOT_RUNNING: EXIT.unreachable,
  NOT_LEADER: EXIT.unreachable,
  UNREACHABLE: EXIT.unreachable,
  OUTCOME_UNKNOWN: EXIT.unreachable,
  UNAUTHENTICATED: EXIT.denied,
  PERMISSION_DENIED: EXIT.denied,
  NOT_ADMITTED: EXIT.denied,
  TIMED_OUT: EXIT.unreachable,
  CONFLICT: EXIT.conflict,
  ALREADY_RUNNING: EXIT.conflict,
};

export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof ClusterduckError ? (BY_CODE[thrown.code] ?? EXIT.failed) : EXIT.failed;
}
