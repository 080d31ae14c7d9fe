import { messageOf } from "../../common/errors.js";

/** The connection broke, or what arrived is not Redis. `cause` is what the socket said. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly kind: "closed" | "socket" | "protocol" | "tooLarge";

  constructor(kind: ConnectionError["kind"], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

/** What a socket's error, or one of our own, means. */
export function toConnectionError(thrown: unknown): ConnectionError {
  if (thrown instanceof ConnectionError) return thrown;
  // Happy eyeballs gathers one error per address tried.
  const message = thrown instanceof AggregateError ? "cannot connect" : messageOf(thrown);
  return new ConnectionError("socket", message, thrown);
}
