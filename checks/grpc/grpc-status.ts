import { status as Status, type ServiceError } from "@grpc/grpc-js";
import { messageOf } from "../../common/errors.js";
import type { Observation, Reason } from "../../common/model/observation.js";
import { reasonOfError } from "../socket-errors.js";
import type { ServingStatus } from "./health-messages.js";

type Judgement = Observation extends infer Case
  ? Case extends Observation
    ? Omit<Case, "latencyMs">
    : never
  : never;

/** What an answer of the health service says. */
export function judgeStatus(found: ServingStatus, service: string): Judgement {
  if (found === "serving") return { outcome: "passed" };
  const whose = service === "" ? "the server" : `service "${service}"`;
  const words = {
    unknown: "does not know its own state",
    notServing: "is not serving",
    serviceUnknown: "is not known",
  };
  return { outcome: "failed", reason: "notServing", detail: `${whose} ${words[found]}` };
}

/** What a failed call says. */
export function judgeFailure(thrown: unknown, service: string): Judgement {
  if (!isServiceError(thrown)) return { outcome: "failed", reason: "protocol", detail: messageOf(thrown) };
  const { details } = thrown;
  switch (thrown.code) {
    case Status.UNAVAILABLE:
      return judgeUnavailable(details);
    case Status.NOT_FOUND:
      return {
        outcome: "failed",
        reason: "notServing",
        detail: `service "${service}" is not known: ${details}`,
      };
    case Status.UNIMPLEMENTED:
      return {
        outcome: "inconclusive",
        reason: "protocol",
        detail: `the server does not offer grpc.health.v1.Health: add that service to it, or use a tcp check (${details})`,
      };
    case Status.UNAUTHENTICATED:
    case Status.PERMISSION_DENIED:
      return { outcome: "inconclusive", reason: "auth", detail: details };
    case Status.DEADLINE_EXCEEDED:
    case Status.CANCELLED:
      return { outcome: "failed", reason: "timedOut", detail: "no answer within the time limit" };
    case Status.RESOURCE_EXHAUSTED:
      return { outcome: "degraded", reason: "overloaded", detail: details };
    case Status.INTERNAL:
      return { outcome: "failed", reason: "protocol", detail: details };
    default:
      return { outcome: "failed", reason: "badStatus", detail: `${Status[thrown.code]}: ${details}` };
  }
}

/** grpc-js tells why it has no connection only in words. */
function judgeUnavailable(details: string): Judgement {
  const code =
    /\b(?:E[A-Z]{4,}|EAI_[A-Z]+|CERT_[A-Z_]+|UNABLE_TO_[A-Z_]+|ERR_(?:TLS|SSL)_[A-Z_]+|[A-Z_]+_SIGNED_CERT[A-Z_]*)\b/.exec(
      details,
    )?.[0];
  if (code !== undefined) {
    const { reason, isObserverFault } = reasonOfError(Object.assign(new Error(details), { code }));
    return { outcome: isObserverFault ? "inconclusive" : "failed", reason, detail: details };
  }
  return { outcome: "failed", reason: reasonInWords(details), detail: details };
}

const WORDS: readonly (readonly [pattern: RegExp, reason: Reason])[] = [
  [/certificate has expired/i, "certificateExpiry"],
  [/certificate|altname|self[- ]signed|\bssl\b|\btls\b/i, "tls"],
  [/name resolution failed/i, "dns"],
  [/protocol error|parse error|wrong version/i, "protocol"],
  [/connection dropped|connection closed|disconnected|session|goaway|rst_stream|stream/i, "closed"],
];

/** Words that nobody knows are the server's own: it runs, but is unavailable. */
function reasonInWords(details: string): Reason {
  return WORDS.find(([pattern]) => pattern.test(details))?.[1] ?? "notServing";
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return (
    thrown instanceof Error && "code" in thrown && typeof thrown.code === "number" && "details" in thrown
  );
}
