import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { ulid } from "ulid";
import { ClusterduckError } from "../../common/errors.js";
import type { BoundService, CallContext } from "../../common/grpc/service.js";
import { ControlService, GetStatusResponseSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { GetStatusResponse } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { ForwardCallRequest } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import { assertIsMember } from "./peer-name.js";
import type { TierCalls } from "./peers.js";
import { ELECTION_PATIENCE_MS, withLeader } from "./with-leader.js";
import type { End, LeaderCallOptions } from "./with-leader.js";

type Init = Record<string, unknown>;
type Handler = (request: Message, context: CallContext) => Promise<Init>;

/** Changes: without a request id, they are not done again when nobody knows whether they were done. */
const CHANGES: ReadonlySet<string> = new Set([
  "addNode",
  "removeNode",
  "setNodeIntent",
  "applyConfig",
  "removeAgent",
  "createJoinToken",
  "revokeJoinToken",
  "removeCoordinator",
  "promoteCoordinator",
  "transferLeadership",
]);
/** Questions whose answers only the leader has: votes, the delivery ledger, who answers. */
const QUESTIONS: ReadonlySet<string> = new Set([
  "explain",
  "listRuns",
  "listBalancers",
  "listCoordinators",
  "listJoinTokens",
]);

/** People ask for the status when something is wrong: then it must come at once. Milliseconds. */
const STATUS_TIMEOUT_MS = 1_000;

export type ForwardOptions = LeaderCallOptions & {
  readonly id: string;
  /** Whether the tier recognises a change that comes again by the id of its request. */
  readonly knowsRequests: () => boolean;
  /** Keeps attempts of a request that are still under way from doing anything, unless one has. */
  readonly closeRequest: (requestId: string) => Promise<void>;
};

/**
 * The control service as any member offers it: what only the leader can do or tell is passed on to it, once,
 * with who asked. `isStale` answers here, whatever this member knows.
 */
export function forwardToLeader(own: BoundService, options: ForwardOptions): BoundService {
  const handlers = Object.entries(own.handlers).map(([name, handler]) => {
    const isChange = CHANGES.has(name);
    if (name === "getStatus") return [name, statusOfTier(handler as Handler, options)];
    if (!isChange && !QUESTIONS.has(name)) return [name, handler];
    const method = methodOf(name);
    const forwarded: Handler = (asked, context) => {
      if ((asked as { readonly isStale?: boolean }).isStale === true)
        return (handler as Handler)(asked, context);
      const request: Message & { readonly requestId?: string } = withRequestId(asked);
      const { requestId } = request;
      const isRecognised = isChange && requestId !== undefined && options.knowsRequests();
      // One that has an id already may have been asked of another member before.
      const mayBeRepeat = requestId === (asked as typeof request).requestId;
      return withLeader(options, {
        local: () => (handler as Handler)(request, context),
        remote: (leader, signal) => forward(leader, method, request, { ...context, signal }, options.id),
        isRepeatable: !isChange || isRecognised,
        isChange,
        ...(isRecognised
          ? {
              conclude: async (end, wasLost) => {
                if (wasLost || (mayBeRepeat && leavesNoEntry(end))) await options.closeRequest(requestId);
              },
            }
          : {}),
        patienceMs: ELECTION_PATIENCE_MS,
        signal: context.signal,
      });
    };
    return [name, forwarded];
  });
  return { ...own, handlers: Object.fromEntries(handlers) as BoundService["handlers"] };
}

/** What was refused, or found to be so already, may have been so before the log was asked. */
function leavesNoEntry(end: End<Init>): boolean {
  if ("answer" in end) return end.answer["isUnchanged"] === true;
  const { thrown } = end;
  return thrown instanceof ClusterduckError && (thrown.code === "NOT_FOUND" || thrown.code === "CONFLICT");
}

/** Whoever makes no id of its own asks once, and every attempt of ours to do it has one. */
function withRequestId(request: Message & { readonly requestId?: string }): Message {
  const named: typeof request = { ...request, requestId: ulid() };
  return request.requestId === "" ? named : request;
}

/**
 * The leader's end. Never forwards again: whoever asked looks for the leader anew.
 * @throws ClusterduckError PERMISSION_DENIED, NOT_LEADER, INVALID_ARGUMENT, and whatever the method throws.
 */
export function answerForwarded(
  own: BoundService,
  log: LeaderCallOptions["log"] & Pick<ReplicatedLog, "status">,
): (request: ForwardCallRequest, context: CallContext) => Promise<{ response: Uint8Array }> {
  return async ({ method: name, request, caller, forwardedBy }, context) => {
    assertIsMember(log, context.identity);
    const method = methodOf(name);
    const isKnown = CHANGES.has(name) || QUESTIONS.has(name) || name === "getStatus";
    if (!isKnown) throw new ClusterduckError("INVALID_ARGUMENT", `Method ${name} is not forwarded`);
    const { isLeader, leaderId } = log.leadership();
    if (!isLeader) {
      throw new ClusterduckError(
        "NOT_LEADER",
        `Not the leader any more: that is ${leaderId ?? "nobody now"}`,
      );
    }
    const handler = own.handlers[name] as Handler;
    // For the record: who asked is the word of the one that passes it on, but who that is, its certificate says.
    const peer = `${caller} via ${context.identity?.name ?? forwardedBy}`;
    const answer = await handler(fromBinary(method.input, request), { ...context, peer });
    return { response: toBinary(method.output, create(method.output, answer)) };
  };
}

/** The leader's view with this member's own standing; its own view alone when the leader does not answer. */
function statusOfTier(handler: Handler, options: ForwardOptions): Handler {
  return async (request, context) => {
    const { leaderId, isLeader } = options.log.leadership();
    const own = (await handler(request, context)) as Partial<GetStatusResponse>;
    if (isLeader || leaderId === null) return own;
    try {
      const { response } = await options.peers
        .to(leaderId)
        .forwardCall(
          callOf("getStatus", toBinary(methodOf("getStatus").input, request), context, options.id),
          { signal: context.signal, timeoutMs: STATUS_TIMEOUT_MS },
        );
      const { coordinatorId, version, appliedIndex, commitIndex, uptimeSeconds } = own;
      const theirs = fromBinary(GetStatusResponseSchema, response);
      return { ...theirs, coordinatorId, version, appliedIndex, commitIndex, uptimeSeconds };
    } catch {
      return own;
    }
  };
}

async function forward(
  leader: TierCalls,
  method: DescMethod,
  request: Message,
  context: CallContext,
  id: string,
): Promise<Init> {
  const call = callOf(method.localName, toBinary(method.input, request), context, id);
  const { response } = await leader.forwardCall(call, { signal: context.signal });
  return fromBinary(method.output, response);
}

function callOf(method: string, request: Uint8Array, context: CallContext, id: string) {
  return { method, request, caller: context.peer, forwardedBy: id };
}

/** By the name in our code. @throws ClusterduckError INVALID_ARGUMENT */
function methodOf(localName: string): DescMethod {
  const found = ControlService.methods.find((method) => method.localName === localName);
  if (found !== undefined) return found;
  throw new ClusterduckError("INVALID_ARGUMENT", `The control service has no method ${localName}`, {
    hint: "Upgrade all coordinators to one version",
  });
}
