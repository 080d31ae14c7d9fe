import { fromName, fromUint64, invalid } from "../../../common/wire/values.js";
import { EntryKind, MemberRole, ProposalRefusal } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type {
  Append as WireAppend,
  AppendReply as WireAppendReply,
  EntryRun as WireEntryRun,
  LogPosition as WirePosition,
  ProposeReply as WireProposeReply,
  RaftMessage as WireMessage,
  RequestId as WireRequestId,
  SnapshotMark as WireSnapshotMark,
} from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { Entry, Position } from "../../raft/entry.js";
import { decodeMembership } from "../../raft/membership.js";
import type { Member, Membership } from "../../raft/membership.js";
import type { ForwardOutcome, Message, MessageBody, RequestId, SnapshotMark } from "../../raft/message.js";

const ENTRY_KINDS: Readonly<Partial<Record<EntryKind, Entry["kind"]>>> = {
  [EntryKind.COMMAND]: "command",
  [EntryKind.NOOP]: "noop",
  [EntryKind.MEMBERS]: "members",
};
const ROLES: Readonly<Partial<Record<MemberRole, Member["role"]>>> = {
  [MemberRole.VOTER]: "voter",
  [MemberRole.LEARNER]: "learner",
};
const REFUSALS = {
  [ProposalRefusal.NOT_LEADER]: "notLeader",
  [ProposalRefusal.TRANSFERRING]: "transferring",
  [ProposalRefusal.TOO_MANY_UNCOMMITTED]: "tooManyUncommitted",
} as const;

/**
 * Of a message of a kind that this version does not know, the number of that kind; null for all others. Such a
 * message is of a newer version, and worth no more than a lost one.
 * @throws ClusterduckError INVALID_ARGUMENT for a message of no kind at all, which no version sends.
 */
export function unknownKind({ body, $unknown = [] }: WireMessage): number | null {
  if (body.case !== undefined) return null;
  const [field] = $unknown;
  if (field === undefined) throw invalid("a message of no kind");
  return field.no;
}

/**
 * What another member said. The core takes what comes out of here for granted, so everything that a member
 * of any version could get wrong is looked at.
 * @throws ClusterduckError INVALID_ARGUMENT naming what does not fit.
 */
export function decodeMessage(wire: WireMessage, from: string, to: string): Message {
  return { from, to, term: decodeTerm(wire.term), ...decodeBody(wire) };
}

function decodeBody({ body }: WireMessage): MessageBody {
  const kind = body.case;
  switch (kind) {
    case "preVote":
      return { kind, last: decodePosition(body.value.last, "the last entry of a pre-vote") };
    case "preVoteReply": {
      const { askedTerm, isGranted } = body.value;
      return { kind, askedTerm: fromUint64(askedTerm, "the asked term"), isGranted };
    }
    case "vote": {
      const { last, isTransfer } = body.value;
      return { kind, last: decodePosition(last, "the last entry of a vote"), isTransfer };
    }
    case "voteReply":
      return { kind, isGranted: body.value.isGranted };
    case "append":
      return { kind, ...decodeAppend(body.value) };
    case "appendReply":
      return decodeAppendReply(body.value);
    case "heartbeat":
      return { kind, round: fromUint64(body.value.round, "the round of a heartbeat") };
    case "heartbeatReply": {
      const { round, commit } = body.value;
      return {
        kind,
        round: fromUint64(round, "the answered round"),
        commit: decodeIndex(commit, "a commit"),
      };
    }
    case "installSnapshot":
      return { kind, ...decodeMark(body.value) };
    case "timeoutNow":
      return { kind };
    case "readIndex":
      return { kind, request: decodeRequest(body.value.request) };
    case "readIndexReply": {
      const { request, index } = body.value;
      const confirmed = index === undefined ? null : decodeIndex(index, "a read");
      return { kind, request: decodeRequest(request), index: confirmed };
    }
    case "propose":
      return { kind, request: decodeRequest(body.value.request), payload: owned(body.value.payload) };
    case "proposeReply":
      return { kind, request: decodeRequest(body.value.request), outcome: decodeOutcome(body.value) };
    case undefined:
      throw invalid("a message of no kind");
  }
}

/** @throws ClusterduckError INVALID_ARGUMENT */
export function decodeMark(wire: WireSnapshotMark): SnapshotMark {
  const last = decodePosition(wire.last, "the last entry of a snapshot");
  if (last.index === 0) throw invalid("a snapshot of no entries");
  return { last, membership: decodeMembers(wire.members) };
}

/** @throws ClusterduckError INVALID_ARGUMENT */
export function decodeTerm(term: bigint): number {
  return fromUint64(term, "a message's term");
}

function decodeAppend(wire: WireAppend): Omit<Extract<MessageBody, { kind: "append" }>, "kind"> {
  const previous = decodePosition(wire.previous, "the entry before an append");
  const entries: Entry[] = [];
  let last = previous;
  for (const run of wire.runs) {
    const { term, kind } = decodeRun(run, last.term);
    for (const bytes of run.payloads) {
      const payload = owned(bytes);
      if (kind === "members") checkMembers(payload);
      const entry = { index: last.index + 1, term, kind, payload };
      entries.push(entry);
      last = entry;
    }
  }
  const append = { previous, entries, commit: decodeIndex(wire.commit, "a commit") };
  return wire.quiet ? { ...append, isQuiet: true } : append;
}

function decodeRun(run: WireEntryRun, termBefore: number): Pick<Entry, "term" | "kind"> {
  const term = fromUint64(run.term, "an entry's term");
  if (term === 0 || term < termBefore) {
    throw invalid(`an entry has term ${term}, expected at least ${Math.max(1, termBefore)}`);
  }
  const kind = ENTRY_KINDS[run.kind];
  if (kind === undefined) throw invalid(`an entry is of kind ${run.kind}, expected 1 to 3`);
  return { term, kind };
}

function decodeAppendReply({ outcome }: WireAppendReply): Extract<MessageBody, { kind: "appendReply" }> {
  const kind = "appendReply";
  switch (outcome.case) {
    case "match":
      return { kind, isAccepted: true, match: decodeIndex(outcome.value, "a match") };
    case "rejection": {
      const { rejected, hint } = outcome.value;
      return {
        kind,
        isAccepted: false,
        rejected: decodeIndex(rejected, "a rejected entry"),
        hint: decodeHint(hint),
      };
    }
    case undefined:
      throw invalid("an answer to an append that neither accepts nor rejects it");
  }
}

function decodeOutcome({ outcome }: WireProposeReply): ForwardOutcome {
  switch (outcome.case) {
    case "appended":
      return { kind: "appended", position: decodePosition(outcome.value, "an appended proposal") };
    case "refused": {
      const refusal = outcome.value;
      if (refusal === ProposalRefusal.UNSPECIFIED || !Object.hasOwn(REFUSALS, refusal)) {
        throw invalid(`a proposal was refused for reason ${refusal}, expected 1 to 3`);
      }
      return { kind: "refused", reason: REFUSALS[refusal] };
    }
    case undefined:
      throw invalid("an answer to a proposal that neither takes nor refuses it");
  }
}

function decodePosition(wire: WirePosition | undefined, what: string): Position {
  if (wire === undefined) throw invalid(`${what} is missing`);
  const index = decodeIndex(wire.index, what);
  const term = fromUint64(wire.term, `the term of ${what}`);
  if ((index === 0) !== (term === 0)) {
    throw invalid(`${what} has index ${index} and term ${term}, expected both or none to be 0`);
  }
  return { index, term };
}

/** Its term is 0 where the receiver no longer knows it. */
function decodeHint(wire: WirePosition | undefined): Position {
  if (wire !== undefined && wire.term === 0n) return { index: decodeIndex(wire.index, "a hint"), term: 0 };
  return decodePosition(wire, "the hint of a rejection");
}

function decodeIndex(index: bigint, what: string): number {
  return fromUint64(index, `the index of ${what}`);
}

function decodeRequest(wire: WireRequestId | undefined): RequestId {
  if (wire === undefined) throw invalid("a request's name is missing");
  return {
    client: fromName(wire.client, "a request's client"),
    sequence: fromUint64(wire.sequence, "a request's number"),
  };
}

function decodeMembers(wire: WireSnapshotMark["members"]): Membership {
  const ids = new Set<string>();
  const members = wire.map(({ id, role, address }): Member => {
    const known = ROLES[role];
    if (known === undefined) throw invalid(`member "${id}" has role ${role}, expected 1 or 2`);
    if (ids.has(id)) throw invalid(`member "${id}" is named twice`);
    ids.add(id);
    return { id: fromName(id, "a member's id"), role: known, address };
  });
  return members.sort((left, right) => (left.id < right.id ? -1 : 1));
}

function checkMembers(payload: Uint8Array): void {
  try {
    decodeMembership(payload);
  } catch (cause) {
    throw invalid(`an entry of members holds none (${cause instanceof Error ? cause.message : ""})`);
  }
}

/** A copy: otherwise an entry that stays in memory would hold the whole frame that it came in. */
function owned(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
