import { ClusterduckError, messageOf } from "../../common/errors.js";

/** What whoever asks something of the log can be told. `action` begins with a capital: "Cannot propose". */

export function stopping(action: string): ClusterduckError {
  return new ClusterduckError("STOPPING", `${action}: the coordinator is stopping`);
}

/** Nothing has happened. */
export function noLeader(action: string, waitedMs: number): ClusterduckError {
  return new ClusterduckError(
    "NOT_LEADER",
    `${action}: no leader was found within ${Math.round(waitedMs)} ms`,
    { hint: "A majority of the coordinators must run and reach each other: duckctl coordinators list" },
  );
}

export function outcomeUnknown(action: string, why: string): ClusterduckError {
  return new ClusterduckError("UNREACHABLE", `${action} for certain: ${why}; it may still happen`, {
    hint: "Look whether it has happened before asking again",
  });
}

/** Nothing has happened. */
export function overloaded(action: string, waiting: string): ClusterduckError {
  return new ClusterduckError("OVERLOADED", `${action}: ${waiting} wait already`, {
    hint: "Ask again in a moment; while a majority of the coordinators is away, nothing is taken on",
  });
}

/** A full disk keeps what it was to write. It may still happen. */
export function keptUntilThereIsRoom(error: ClusterduckError): ClusterduckError {
  const message = `${error.message}; the change is kept, and may happen once there is room`;
  return new ClusterduckError("DISK_FULL", message, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

/** The log has stopped for good: the world let it down, or it has a bug. */
export function failed(action: string, failure: unknown): ClusterduckError {
  const message = `${action}: the log has stopped after a failure (${messageOf(failure)})`;
  if (failure instanceof ClusterduckError) {
    const { code, hint } = failure;
    return new ClusterduckError(code, message, { cause: failure, ...(hint === undefined ? {} : { hint }) });
  }
  return new ClusterduckError("COMMAND_FAILED", message, {
    cause: failure,
    hint: "The coordinator's own log has the details; start it again",
  });
}
