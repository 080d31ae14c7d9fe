import type { Entry, Position } from "./entry.js";
import type { Membership } from "./membership.js";

/**
 * What members tell each other. Messages may be lost, doubled, delayed and reordered; none is ever awaited.
 * `term` is always the sender's current term, also in answers.
 */
export type Message = { readonly from: string; readonly to: string; readonly term: number } & MessageBody;

export type MessageBody =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | InstallSnapshot
  | TimeoutNow
  | ReadIndex
  | ReadIndexReply
  | Propose
  | ProposeReply;

export type MessageOf<Kind extends MessageBody["kind"]> = Extract<Message, { readonly kind: Kind }>;

/** "Would you vote for me in the term after mine?" Changes nothing at the receiver. Dissertation, section 9.6. */
type PreVote = { readonly kind: "preVote"; readonly last: Position };

/** `askedTerm` is the term of the question: an answer to an earlier one does not count. */
type PreVoteReply = {
  readonly kind: "preVoteReply";
  readonly askedTerm: number;
  readonly isGranted: boolean;
};

/** "Vote for me in my term." `isTransfer`: the leader itself asked for this election, so do not protect it. */
type Vote = { readonly kind: "vote"; readonly last: Position; readonly isTransfer: boolean };

type VoteReply = { readonly kind: "voteReply"; readonly isGranted: boolean };

/** Entries that follow `previous` without a hole; none when only `commit` or the match is to be told. */
export type Append = {
  readonly kind: "append";
  readonly previous: Position;
  readonly entries: readonly Entry[];
  /** The leader's commit index; the receiver follows it as far as this message proves its own log equal. */
  readonly commit: number;
  /** Answered only when it is rejected: it tells a new commit index to a peer that has acknowledged all of it. */
  readonly isQuiet?: boolean;
};

/**
 * Accepted: the receiver's log equals the leader's up to `match`, durably. Rejected: it lacks `previous`
 * (whose index is `rejected`); `hint` is its last place that could agree.
 */
export type AppendReply =
  | { readonly kind: "appendReply"; readonly isAccepted: true; readonly match: number }
  | {
      readonly kind: "appendReply";
      readonly isAccepted: false;
      readonly rejected: number;
      readonly hint: Position;
    };

/** Keeps followers from campaigning. `round` numbers the leader's questions "am I still the leader?". */
type Heartbeat = { readonly kind: "heartbeat"; readonly round: number };

/** `commit` is the sender's own: where it lags, the leader tells it again, with an append. */
export type HeartbeatReply = {
  readonly kind: "heartbeatReply";
  readonly round: number;
  readonly commit: number;
};

/**
 * The receiver lacks entries that the sender no longer has. The sender's runner sends, with this message
 * and in chunks, its newest snapshot (at `last` or later; it then puts that one's mark here). The
 * receiver's runner steps it into its core once the data is complete and checked.
 */
type InstallSnapshot = { readonly kind: "installSnapshot" } & SnapshotMark;

/** What the core knows of a snapshot: the last entry in it, and the members as of that entry. */
export type SnapshotMark = { readonly last: Position; readonly membership: Membership };

/** From the leader to the voter that should follow it: campaign now. Dissertation, section 3.10. */
type TimeoutNow = { readonly kind: "timeoutNow" };

/**
 * Names a request across members and restarts. `client` must be new at every start of whoever counts
 * `sequence`, or an answer to a question of an earlier life could pass for one to a question of today.
 */
export type RequestId = { readonly client: string; readonly sequence: number };

/** A follower's question which index a linearizable read must wait for. */
type ReadIndex = { readonly kind: "readIndex"; readonly request: RequestId };

/** `index` is null when the receiver of the question does not lead, or ceased to. */
type ReadIndexReply = {
  readonly kind: "readIndexReply";
  readonly request: RequestId;
  readonly index: number | null;
};

/** A proposal that a follower passes on. Whoever receives it without leading refuses: it never travels twice. */
type Propose = { readonly kind: "propose"; readonly request: RequestId; readonly payload: Uint8Array };

type ProposeReply = {
  readonly kind: "proposeReply";
  readonly request: RequestId;
  readonly outcome: ForwardOutcome;
};

/** Why a proposal was not taken. Nothing of it has happened. */
export type ProposalRefusal =
  /** Ask the leader, if one is known. */
  | "notLeader"
  /** Leadership is being handed over: ask again in a moment. */
  | "transferring"
  /** Too many bytes wait for a quorum: ask again when some are committed. */
  | "tooManyUncommitted";

/** `appended`: committed once the entry at `position` is, with that term; lost if another term stands there. */
export type ForwardOutcome =
  | { readonly kind: "appended"; readonly position: Position }
  | { readonly kind: "refused"; readonly reason: ProposalRefusal };
