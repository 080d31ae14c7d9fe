import type { MessageInitShape } from "@bufbuild/protobuf";
import { toUint64 } from "../../../common/wire/values.js";
import { EntryKind, MemberRole, ProposalRefusal } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type {
  EntryRunSchema,
  LogPositionSchema,
  ProposeReplySchema,
  RaftMessageSchema,
  RequestIdSchema,
  SnapshotMarkSchema,
} from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { Entry, Position } from "../../raft/entry.js";
import type { ForwardOutcome, Message, RequestId, SnapshotMark } from "../../raft/message.js";

const ENTRY_KIND: Readonly<Record<Entry["kind"], EntryKind>> = {
  command: EntryKind.COMMAND,
  noop: EntryKind.NOOP,
  members: EntryKind.MEMBERS,
};
const ROLE = { voter: MemberRole.VOTER, learner: MemberRole.LEARNER } as const;
const REFUSAL = {
  notLeader: ProposalRefusal.NOT_LEADER,
  transferring: ProposalRefusal.TRANSFERRING,
  tooManyUncommitted: ProposalRefusal.TOO_MANY_UNCOMMITTED,
} as const;

type WireMessage = MessageInitShape<typeof RaftMessageSchema>;

export function encodeMessage(message: Message): WireMessage {
  return { term: toUint64(message.term), body: encodeBody(message) };
}

function encodeBody(message: Message): NonNullable<WireMessage["body"]> {
  switch (message.kind) {
    case "preVote":
      return { case: "preVote", value: { last: encodePosition(message.last) } };
    case "preVoteReply": {
      const { askedTerm, isGranted } = message;
      return { case: "preVoteReply", value: { askedTerm: toUint64(askedTerm), isGranted } };
    }
    case "vote": {
      const { last, isTransfer } = message;
      return { case: "vote", value: { last: encodePosition(last), isTransfer } };
    }
    case "voteReply":
      return { case: "voteReply", value: { isGranted: message.isGranted } };
    case "append": {
      const { previous, entries, commit, isQuiet = false } = message;
      const runs = encodeRuns(entries);
      return {
        case: "append",
        value: { previous: encodePosition(previous), runs, commit: toUint64(commit), quiet: isQuiet },
      };
    }
    case "appendReply":
      return { case: "appendReply", value: { outcome: encodeAppendOutcome(message) } };
    case "heartbeat":
      return { case: "heartbeat", value: { round: toUint64(message.round) } };
    case "heartbeatReply": {
      const { round, commit } = message;
      return { case: "heartbeatReply", value: { round: toUint64(round), commit: toUint64(commit) } };
    }
    case "installSnapshot":
      return { case: "installSnapshot", value: encodeMark(message) };
    case "timeoutNow":
      return { case: "timeoutNow", value: {} };
    case "readIndex":
      return { case: "readIndex", value: { request: encodeRequest(message.request) } };
    case "readIndexReply": {
      const request = encodeRequest(message.request);
      const { index } = message;
      return {
        case: "readIndexReply",
        value: index === null ? { request } : { request, index: toUint64(index) },
      };
    }
    case "propose":
      return {
        case: "propose",
        value: { request: encodeRequest(message.request), payload: message.payload },
      };
    case "proposeReply": {
      const request = encodeRequest(message.request);
      return { case: "proposeReply", value: { request, outcome: encodeForwardOutcome(message.outcome) } };
    }
  }
}

export function encodeMark(mark: SnapshotMark): MessageInitShape<typeof SnapshotMarkSchema> {
  const members = mark.membership.map(({ id, role, address }) => ({ id, role: ROLE[role], address }));
  return { last: encodePosition(mark.last), members };
}

function encodePosition({ index, term }: Position): MessageInitShape<typeof LogPositionSchema> {
  return { index: toUint64(index), term: toUint64(term) };
}

function encodeRequest({ client, sequence }: RequestId): MessageInitShape<typeof RequestIdSchema> {
  return { client, sequence: toUint64(sequence) };
}

function encodeRuns(entries: readonly Entry[]): MessageInitShape<typeof EntryRunSchema>[] {
  const runs: { term: bigint; kind: EntryKind; payloads: Uint8Array[] }[] = [];
  let before: Entry | null = null;
  for (const entry of entries) {
    const run = runs.at(-1);
    if (run !== undefined && before?.term === entry.term && before.kind === entry.kind) {
      run.payloads.push(entry.payload);
    } else {
      runs.push({ term: toUint64(entry.term), kind: ENTRY_KIND[entry.kind], payloads: [entry.payload] });
    }
    before = entry;
  }
  return runs;
}

type AppendReply = Extract<Message, { readonly kind: "appendReply" }>;

function encodeAppendOutcome(reply: AppendReply) {
  if (reply.isAccepted) return { case: "match", value: toUint64(reply.match) } as const;
  const value = { rejected: toUint64(reply.rejected), hint: encodePosition(reply.hint) };
  return { case: "rejection", value } as const;
}

function encodeForwardOutcome(
  outcome: ForwardOutcome,
): NonNullable<MessageInitShape<typeof ProposeReplySchema>["outcome"]> {
  if (outcome.kind === "appended") return { case: "appended", value: encodePosition(outcome.position) };
  return { case: "refused", value: REFUSAL[outcome.reason] };
}
