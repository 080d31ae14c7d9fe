/** The connection broke, or what arrived is not Redis. `cause` is what the socket said. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly kind: "closed" | "socket" | "protocol" | "tooLarge";

  constructor(kind: ConnectionError["kind"], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

/** An error that the server answered with: it is alive, and says why it will not do what was asked. */
export function isReplyError(thrown: unknown): thrown is Error {
  return thrown instanceof Error && thrown.name === "ReplyError";
}

/** What ioredis's `error` event means. */
export function toConnectionError(error: Error): ConnectionError {
  if ("code" in error && typeof error.code === "string") {
    return new ConnectionError("socket", error.message, error);
  }
  // Happy eyeballs gathers one error per address tried.
  if (error instanceof AggregateError) return new ConnectionError("socket", "cannot connect", error);
  // A reply that nobody asked for: how a server with too many clients says so.
  const unasked = /Last error: (.+)$/.exec(error.message)?.[1];
  if (unasked !== undefined) return new ConnectionError("protocol", unasked);
  const text = error.message.replace(/\. Please report this\.$/, "");
  return new ConnectionError("protocol", `the answer is not Redis's protocol: ${text}`);
}
