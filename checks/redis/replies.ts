import { messageOf } from "../../common/errors.js";
import type { Facts, Observation, Reason } from "../../common/model/observation.js";
import { reasonOfError } from "../socket-errors.js";
import { ConnectionError } from "./connection-error.js";
import { ReplyError } from "./reply-reader.js";

/** An observation before its latency is known. */
export type Finding =
  | { readonly outcome: "passed"; readonly facts?: Facts; readonly warnings?: readonly string[] }
  | {
      readonly outcome: Exclude<Observation["outcome"], "passed">;
      readonly reason: Reason;
      readonly detail: string;
      readonly facts?: Facts;
    };

type Meaning = { readonly outcome: "degraded" | "failed" | "inconclusive"; readonly reason: Reason };

/** What the first word of an error reply means (Redis 7; design: docs on Redis, "What each answer means"). */
const MEANING_OF_WORD: Readonly<Record<string, Meaning>> = {
  LOADING: { outcome: "failed", reason: "loading" },
  BUSY: { outcome: "degraded", reason: "busy" },
  UNKILLABLE: { outcome: "degraded", reason: "busy" },
  MISCONF: { outcome: "degraded", reason: "notWritable" },
  OOM: { outcome: "degraded", reason: "notWritable" },
  NOREPLICAS: { outcome: "degraded", reason: "notWritable" },
  READONLY: { outcome: "degraded", reason: "notWritable" },
  // Degraded rather than failed: such a replica may be the one to promote.
  MASTERDOWN: { outcome: "degraded", reason: "staleReplica" },
  CLUSTERDOWN: { outcome: "degraded", reason: "notServing" },
  // The check asks for something this server keeps from it: that says nothing about the service.
  NOAUTH: { outcome: "inconclusive", reason: "auth" },
  WRONGPASS: { outcome: "inconclusive", reason: "auth" },
  NOPERM: { outcome: "inconclusive", reason: "auth" },
  DENIED: { outcome: "inconclusive", reason: "auth" },
};
/** Errors that all begin with ERR and differ in their text. */
const MEANING_OF_TEXT: readonly (readonly [pattern: RegExp, meaning: Meaning])[] = [
  [
    /max number of clients( \+ cluster connections)? reached/i,
    { outcome: "degraded", reason: "connectionLimit" },
  ],
  [
    /invalid password|arguments for 'auth'|invalid username-password/i,
    { outcome: "inconclusive", reason: "auth" },
  ],
  [/DB index is out of range|invalid DB index/i, { outcome: "inconclusive", reason: "mismatch" }],
];
/** An error reply that is none of these: the command did not succeed. */
const OTHER: Meaning = { outcome: "failed", reason: "mismatch" };

/** What an error reply says about the service. */
export function meaningOfReply(message: string): Meaning {
  const word = /^[A-Z]+/.exec(message)?.[0] ?? "";
  return MEANING_OF_WORD[word] ?? MEANING_OF_TEXT.find(([pattern]) => pattern.test(message))?.[1] ?? OTHER;
}

/** The server takes no connection from us, and says so in place of any other answer. */
export function isRefusalToConnect(message: string): boolean {
  return meaningOfReply(message).reason === "connectionLimit" || message.startsWith("DENIED");
}

/** What anything thrown while asking says about the service. */
export function findingOfError(thrown: unknown): Finding {
  if (thrown instanceof ReplyError) return { ...meaningOfReply(thrown.message), detail: messageOf(thrown) };
  if (thrown instanceof ConnectionError) return findingOfConnection(thrown);
  const { reason, detail, isObserverFault } = reasonOfError(thrown);
  return { outcome: isObserverFault ? "inconclusive" : "failed", reason, detail };
}

function findingOfConnection(error: ConnectionError): Finding {
  switch (error.kind) {
    case "closed":
    case "tooLarge":
      return { outcome: "failed", reason: error.kind, detail: error.message };
    case "protocol":
      return isRefusalToConnect(error.message)
        ? { ...meaningOfReply(error.message), detail: error.message }
        : { outcome: "failed", reason: "protocol", detail: error.message };
    case "socket":
      return findingOfError(error.cause);
  }
}
