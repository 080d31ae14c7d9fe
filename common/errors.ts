/** What went wrong, for programs. A message for people stands beside it. */
export type ErrorCode =
  | "CONFIG_INVALID"
  | "CONFIG_UNREADABLE"
  | "CONFLICT"
  | "NOT_FOUND"
  | "NOT_LEADER"
  | "INVALID_ARGUMENT"
  | "UNREACHABLE"
  /** A change may or may not have happened. */
  | "OUTCOME_UNKNOWN"
  /** No certificate, or one that cannot be trusted. */
  | "UNAUTHENTICATED"
  /** Known, and not allowed to do this. */
  | "PERMISSION_DENIED"
  /** What lets in (a join token, the passphrase) is missing, wrong, or worth nothing any more. */
  | "NOT_ADMITTED"
  | "TIMED_OUT"
  /** Too much waits already; nothing happened, and asking again in a moment helps. */
  | "OVERLOADED"
  | "DISK_FAILED"
  /** No space left; what was asked for did not happen, unless the message says that it may, and goes on once there is space. */
  | "DISK_FULL"
  | "LOG_CORRUPT"
  | "LOG_LOCKED"
  /** Written by a newer version of this program, which this one cannot read. */
  | "VERSION_UNSUPPORTED"
  | "LISTEN_FAILED"
  | "ALREADY_RUNNING"
  | "NOT_RUNNING"
  | "COMMAND_FAILED"
  | "STOPPING";

/** The world let us down, or the operator can mend it. A bug of ours is an AssertionError instead. */
export class ClusterduckError extends Error {
  override readonly name = "ClusterduckError";
  readonly code: ErrorCode;
  /** The next command or step that helps, when there is one. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** The message of anything thrown, on one line. */
export function messageOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return message.replaceAll(/\s*\n\s*/g, " ");
}

/** Lets the compiler find the case that a switch forgot. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}
