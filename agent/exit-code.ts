import type { ErrorCode } from "../common/errors.js";
import { ClusterduckError } from "../common/errors.js";

/** The agent is up, and not all is well. */
export const EXIT_DEGRADED = 5;
export const EXIT_USAGE = 2;

const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: EXIT_USAGE,
  CONFIG_UNREADABLE: EXIT_USAGE,
  INVALID_ARGUMENT: EXIT_USAGE,
  NOT_FOUND: 3,
  NOT_RUNNING: 4,
  UNREACHABLE: 4,
  CONFLICT: 6,
  ALREADY_RUNNING: 6,
};

/** 1: a retry may help; 2: the call or the configuration is wrong; 3 not found; 4 unreachable; 6 conflict. */
export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof ClusterduckError ? (EXIT_OF[thrown.code] ?? 1) : 1;
}
