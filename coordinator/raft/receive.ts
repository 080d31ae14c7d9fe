import { takeAppend, takeSnapshot } from "./follower.js";
import { invariant } from "./invariant.js";
import { findMember } from "./membership.js";
import type { Message, MessageOf } from "./message.js";
import type { ForwardedRequests } from "./requests.js";
import type { Roles } from "./roles.js";
import type { Self } from "./self.js";
import { grantsPreVote, grantsVote } from "./voter.js";

/** The parts of a member that a message may concern. */
export type Receiver = {
  readonly self: Self;
  readonly roles: Roles;
  readonly forwarded: ForwardedRequests;
};

/** Takes a message: first its term is compared with ours (Raft paper, section 5.1), then it is handled. */
export function receive(receiver: Receiver, message: Message): void {
  const { self, roles } = receiver;
  invariant(message.to === self.id, `"${self.id}" was given a message to "${message.to}"`);
  invariant(message.from !== self.id, `"${self.id}" was given a message of its own`);
  if (message.kind === "preVote") onPreVote(receiver, message);
  else if (message.kind === "preVoteReply") onPreVoteReply(receiver, message);
  else if (message.term < self.term) answerLate(receiver, message);
  else if (message.term === self.term || followTerm(receiver, message)) handle(receiver, message);
  roles.leaveIfDismissed();
}

/**
 * Whether a peer is no member as far as this one knows. A removal counts once it is committed. Such a peer may
 * still be a member by later entries, so it is believed where the tier may depend on it: as a candidate, and as a
 * leader (dissertation, section 4.1). All else that it says is for those who know it.
 */
function isOutsider({ self }: Receiver, id: string): boolean {
  const { log, membership, knowsMembers } = self;
  if (!knowsMembers || findMember(membership, id) !== undefined) return false;
  return findMember(log.markAt(log.commit).membership, id) === undefined;
}

/**
 * A peer is in a later term. Returns whether we follow it there: not because a candidate says so while our
 * leader is heard, unless that leader itself wished for the election (dissertation, section 4.2.3); and not
 * because an outsider answers or asks, or one that was removed could end any leadership.
 */
function followTerm(receiver: Receiver, message: Message): boolean {
  const { self, roles } = receiver;
  switch (message.kind) {
    case "vote": {
      const isWished = message.isTransfer && !isOutsider(receiver, message.from);
      if (!self.knowsMembers || (roles.isLeaderHeard && !isWished)) return false;
      roles.becomeFollower(message.term, null);
      return true;
    }
    case "append":
    case "heartbeat":
    case "installSnapshot":
      roles.becomeFollower(message.term, message.from);
      return true;
    default:
      if (isOutsider(receiver, message.from)) return false;
      roles.becomeFollower(message.term, null);
      return true;
  }
}

/** A peer is in an earlier term. An answer brings it to ours; answers themselves need none. */
function answerLate({ self }: Receiver, { kind, from }: Message): void {
  switch (kind) {
    case "vote":
      self.send(from, { kind: "voteReply", isGranted: false });
      return;
    case "append":
    case "heartbeat":
    case "installSnapshot":
    case "readIndex":
    case "propose":
      self.send(from, { kind: "heartbeatReply", round: 0, commit: self.log.commit });
      return;
    default:
      return;
  }
}

type OfTheTerm = Exclude<Message, { readonly kind: "preVote" | "preVoteReply" }>;

function handle(receiver: Receiver, message: OfTheTerm): void {
  const { self, roles, forwarded } = receiver;
  const { from } = message;
  roles.leader?.heardFrom(from);
  switch (message.kind) {
    case "vote":
      onVote(receiver, message);
      return;
    case "voteReply":
      roles.onVoteReply(from, message.isGranted);
      return;
    case "append":
      roles.onLeaderHeard(from);
      takeAppend(self, from, message);
      return;
    case "appendReply":
      roles.leader?.onAppendReply(from, message);
      return;
    case "heartbeat":
      roles.onLeaderHeard(from);
      // One that cannot write is no part of a quorum: with its answers alone a leader would commit nothing,
      // and still keep those from electing another who could.
      if (self.isDiskStalled) return;
      self.send(from, { kind: "heartbeatReply", round: message.round, commit: self.log.commit });
      return;
    case "heartbeatReply":
      roles.leader?.onHeartbeatReply(from, message);
      return;
    case "installSnapshot":
      roles.onLeaderHeard(from);
      takeSnapshot(self, from, message);
      return;
    case "timeoutNow":
      // No member is what it has become itself, where its own removal was its last entry.
      if (from === self.leaderId) roles.takeOver();
      return;
    case "readIndex":
      onReadIndex(receiver, message);
      return;
    case "readIndexReply":
      forwarded.onReadIndexReply(message);
      return;
    case "propose":
      onPropose(receiver, message);
      return;
    case "proposeReply":
      forwarded.onProposeReply(message);
      return;
  }
}

/** Also answers a question from an earlier term: whoever asks must learn that it has to ask in a later one. */
function onPreVote({ self, roles }: Receiver, { from, term, last }: MessageOf<"preVote">): void {
  if (!self.knowsMembers) return;
  const candidate = { askedTerm: term, last, isLeaderHeard: roles.isLeaderHeard };
  // With a disk that hangs it could not keep the vote that it would promise here.
  const isGranted = !self.isDiskStalled && grantsPreVote(self.voter, candidate);
  self.send(from, { kind: "preVoteReply", askedTerm: term, isGranted });
}

function onPreVoteReply(receiver: Receiver, reply: MessageOf<"preVoteReply">): void {
  const { self, roles } = receiver;
  if (isOutsider(receiver, reply.from)) return;
  // Only in a later term can we win, and only so do cohorts with different terms come together.
  if (reply.term > self.term) roles.becomeFollower(reply.term, null);
  else if (reply.askedTerm === self.term) roles.onPreVoteReply(reply.from, reply.isGranted);
}

function onVote({ self, roles }: Receiver, { from, last }: MessageOf<"vote">): void {
  if (!self.knowsMembers) return;
  if (!grantsVote(self.voter, { id: from, last })) {
    self.send(from, { kind: "voteReply", isGranted: false });
    return;
  }
  self.voteFor(from);
  roles.becomeFollower(self.term, null);
  self.promise(from, { kind: "voteReply", isGranted: true });
}

function onReadIndex(receiver: Receiver, { from, request }: MessageOf<"readIndex">): void {
  const { self, roles } = receiver;
  if (roles.leader === null || isOutsider(receiver, from))
    self.send(from, { kind: "readIndexReply", request, index: null });
  else roles.leader.read({ from, request });
}

/** A leader's members are the tier's: whom they do not name has nothing to propose. */
function onPropose(receiver: Receiver, { from, request, payload }: MessageOf<"propose">): void {
  const { self, roles } = receiver;
  const outcome =
    roles.leader === null || isOutsider(receiver, from)
      ? ({ kind: "refused", reason: "notLeader" } as const)
      : roles.leader.proposeOnce(request, payload);
  self.send(from, { kind: "proposeReply", request, outcome });
}
