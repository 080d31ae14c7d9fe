import type { RaftConfig, RestoredState } from "./config.js";
import { Election } from "./election.js";
import type { Entry, Position } from "./entry.js";
import { takeAppend, takeSnapshot } from "./follower.js";
import { invariant } from "./invariant.js";
import { Leader } from "./leader.js";
import { voterIds } from "./membership.js";
import type { Membership, MembershipChange } from "./membership.js";
import type { Message, MessageOf, RequestId, SnapshotMark } from "./message.js";
import type { Tally } from "./quorum.js";
import type { LeadershipView, Ready, Role } from "./ready.js";
import { ForwardedRequests } from "./requests.js";
import type { MembershipResult, ProposeResult, TransferResult } from "./results.js";
import { Self } from "./self.js";
import { peerStatus } from "./status.js";
import type { RaftStatus } from "./status.js";
import { grantsPreVote, grantsVote } from "./voter.js";

type RoleState =
  | { readonly name: "follower" }
  | { readonly name: "preCandidate" | "candidate"; readonly election: Election }
  | { readonly name: "leader"; readonly leader: Leader };

const FOLLOWER: RoleState = { name: "follower" };

/**
 * One member's part in the consensus of its tier. Messages and ticks go in; `ready()` says what to write,
 * send and apply. It has no clock, no chance of its own and does no IO, so the same calls always lead to
 * the same state. Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm"
 * (2014, "Raft paper"); Ongaro, "Consensus: Bridging Theory and Practice" (2014, "dissertation").
 *
 * Every method may throw InvariantViolation: the process must then end.
 */
export class RaftCore {
  readonly #config: RaftConfig;
  readonly #self: Self;
  readonly #forwarded: ForwardedRequests;
  #role: RoleState = FOLLOWER;
  /** Since the leader was heard, a vote was given or a campaign begun. */
  #silentTicks = 0;
  #campaignTicks = 0;
  #handedOut: number;
  #applied: number;
  #toldLeadership: LeadershipView;

  constructor(config: RaftConfig, restored: RestoredState) {
    this.#config = config;
    this.#self = new Self(config, restored);
    this.#forwarded = new ForwardedRequests(config.electionTicks);
    this.#handedOut = restored.base.last.index;
    this.#applied = restored.base.last.index;
    this.#toldLeadership = this.#leadership;
    this.#restartTimer();
    // Nobody else could be asked, so there is nothing to wait for.
    if (this.#self.isOnlyVoter) this.campaign();
  }

  /** Takes a message of a peer. */
  step(message: Message): void {
    const { id, term } = this.#self;
    invariant(message.to === id, `"${id}" was given a message to "${message.to}"`);
    invariant(message.from !== id, `"${id}" was given a message of its own`);
    switch (message.kind) {
      case "preVote":
        this.#onPreVote(message);
        return;
      case "preVoteReply":
        this.#onPreVoteReply(message);
        return;
      default:
        if (message.term < term) this.#answerLate(message);
        else if (message.term === term || this.#followTerm(message)) this.#receive(message);
        this.#leaveIfDismissed();
    }
  }

  /** Time goes by. */
  tick(): void {
    const { durability, isOnlyVoter } = this.#self;
    const { electionTicks } = this.#config;
    durability.tick();
    for (const { kind, request } of this.#forwarded.tick()) this.#giveUp(kind, request);
    if (this.#role.name === "leader") {
      // A leader whose disk hangs holds up everyone, while its heartbeats keep others from taking over.
      const isStalled = durability.writeTicks >= electionTicks;
      if (isStalled || !this.#role.leader.tick()) this.#becomeFollower(this.#self.term, null);
      return;
    }
    this.#silentTicks++;
    const isOver = this.#silentTicks >= this.#campaignTicks;
    if (this.#mayCampaign && (isOver || (isOnlyVoter && this.#role.name === "follower"))) this.campaign();
    else if (isOver) this.#becomeFollower(this.#self.term, null);
  }

  /** Asks to lead now, without waiting for the leader's silence. Does nothing for one who may not. */
  campaign(): void {
    if (this.#role.name !== "leader" && this.#mayCampaign) this.#askWhetherItCouldWin();
  }

  /** Takes all payloads as commands, or none. Only the leader does. */
  propose(payloads: readonly Uint8Array[]): ProposeResult {
    invariant(payloads.length > 0, "A proposal has at least one payload");
    if (this.#role.name !== "leader") return { isAccepted: false, reason: "notLeader" };
    return this.#role.leader.propose(payloads);
  }

  /**
   * Proposes here or, once, to the leader; `Ready.forwarded` tells the end of it. After `unknown` whoever
   * asks again may have the payload in the log twice, unless it holds the request's id and whoever applies
   * it looks. Source: dissertation, section 6.3.
   */
  forward(request: RequestId, payload: Uint8Array): void {
    const { leaderId, outbox } = this.#self;
    if (this.#role.name === "leader") {
      outbox.endForwarded({ request, outcome: this.#role.leader.proposeOnce(request, payload) });
    } else if (leaderId === null) {
      outbox.endForwarded({ request, outcome: { kind: "refused", reason: "notLeader" } });
    } else {
      this.#forwarded.add("proposal", request);
      this.#self.send(leaderId, { kind: "propose", request, payload });
    }
  }

  proposeMembership(change: MembershipChange): MembershipResult {
    if (this.#role.name !== "leader") return { isAccepted: false, reason: "notLeader" };
    const result = this.#role.leader.proposeMembership(change);
    this.#leaveIfDismissed();
    return result;
  }

  /** Asks, here or at the leader, which index a linearizable read must wait for; `Ready.reads` answers. */
  readIndex(request: RequestId): void {
    const { id, leaderId, outbox } = this.#self;
    if (this.#role.name === "leader") {
      this.#role.leader.read({ from: id, request });
    } else if (leaderId === null) {
      outbox.endRead({ request, kind: "failed" });
    } else {
      this.#forwarded.add("read", request);
      this.#self.send(leaderId, { kind: "readIndex", request });
    }
  }

  /** Hands leadership to a voter, or to whoever lacks least. Proposals are refused while that lasts. */
  transferLeadership(to?: string): TransferResult {
    if (this.#role.name !== "leader") return { isAccepted: false, reason: "notLeader" };
    return this.#role.leader.transferTo(to);
  }

  /** The transport has lost what it sent to a peer. */
  reportUnreachable(peer: string): void {
    if (this.#role.name === "leader") this.#role.leader.replication.peers.get(peer)?.unreachable();
  }

  /** Must follow each `installSnapshot` that went out: the peer has it all, or sending has failed. */
  reportSnapshot(peer: string, isInstalled: boolean): void {
    if (this.#role.name === "leader") {
      this.#role.leader.replication.peers.get(peer)?.snapshotEnded(isInstalled);
    }
  }

  /** What is to be done now; see `Ready`. */
  ready(): Ready {
    if (this.#role.name === "leader") this.#role.leader.flush();
    const { outbox, durability, log, hardState } = this.#self;
    const write = durability.next(log, hardState, () => outbox.takePromises());
    const messages = outbox.takeMessages();
    // With everything durable, a promise needs no write.
    const promises = durability.isWriting ? [] : outbox.takePromises();
    return {
      messages: [...messages, ...promises],
      write,
      committed: this.#takeCommitted(),
      reads: outbox.takeReads(),
      forwarded: outbox.takeForwarded(),
      leadership: this.#takeLeadership(),
    };
  }

  /** The write of that id is durable. */
  persisted(writeId: number): void {
    const { durability, id, term } = this.#self;
    durability.finish(writeId);
    if (this.#role.name === "leader") {
      this.#role.leader.onPersisted();
      this.#leaveIfDismissed();
    } else if (this.#role.name === "candidate") {
      const { hardState } = durability;
      if (hardState.term === term && hardState.vote === id)
        this.#onTally(this.#role.election.record(id, true));
    }
  }

  /** Entries up to `index`, or a snapshot up to there, are in the state machine. */
  applied(index: number): void {
    invariant(
      index >= this.#applied && index <= this.#handedOut,
      `Entry ${index} is reported applied, after ${this.#applied} and of ${this.#handedOut} handed out`,
    );
    this.#applied = index;
  }

  /**
   * Lets go of entries up to `upTo`: there is a durable snapshot as of `snapshot`, which is applied. Keeping
   * some entries before the snapshot spares peers that lag a little its transfer.
   */
  compact(upTo: number, snapshot: Position): void {
    invariant(snapshot.index <= this.#applied, `Snapshot ${snapshot.index} is not applied yet`);
    this.#self.log.compact(upTo, snapshot);
  }

  get role(): Role {
    return this.#role.name;
  }

  get term(): number {
    return this.#self.term;
  }

  get leaderId(): string | null {
    return this.#self.leaderId;
  }

  get commit(): number {
    return this.#self.log.commit;
  }

  /** What the first entry in memory follows. */
  get base(): Position {
    return this.#self.log.base;
  }

  get last(): Position {
    return positionOf(this.#self.log.last);
  }

  /** The newest in the log, committed or not: it counts from the moment it is appended. */
  get membership(): Membership {
    return this.#self.membership;
  }

  /** Undefined up to the log's base and after its end. */
  entry(index: number): Entry | undefined {
    return this.#self.log.entry(index);
  }

  /** 0 at index 0; null where the log does not reach. */
  termAt(index: number): number | null {
    return this.#self.log.termAt(index);
  }

  /** What belongs to a snapshot of the state machine as of `index`, which is in the log. */
  markAt(index: number): SnapshotMark {
    const { log } = this.#self;
    const term = log.termAt(index);
    invariant(term !== null, `Entry ${index} is not in the log: it begins after ${log.base.index}`);
    return { last: { index, term }, membership: log.history.at(index) };
  }

  status(): RaftStatus {
    const { id, vote, log, durability, membership } = this.#self;
    const role = this.#role;
    return {
      ...this.#leadership,
      id,
      vote,
      commit: log.commit,
      applied: this.#applied,
      persisted: durability.persisted,
      base: log.base,
      last: { index: log.last.index, term: log.last.term },
      snapshot: log.snapshot.last,
      membership,
      membershipIndex: log.history.currentIndex,
      uncommittedBytes: log.uncommittedBytes,
      writeTicks: durability.writeTicks,
      transferringTo: role.name === "leader" ? role.leader.transferringTo : null,
      votes: "election" in role ? role.election.votes : [],
      peers:
        role.name === "leader"
          ? [...role.leader.replication.peers].map(([peer, progress]) => peerStatus(peer, progress))
          : [],
    };
  }

  // Terms

  /**
   * A peer is in a later term. Returns whether we follow it there: not because a candidate says so while our
   * leader is heard, unless that leader itself wished for the election. Source: dissertation, section 4.2.3.
   */
  #followTerm(message: Message): boolean {
    switch (message.kind) {
      case "vote":
        if (!this.#knowsMembers || (this.#isLeaderHeard && !message.isTransfer)) return false;
        this.#becomeFollower(message.term, null);
        return true;
      case "append":
      case "heartbeat":
      case "installSnapshot":
        this.#becomeFollower(message.term, message.from);
        return true;
      default:
        this.#becomeFollower(message.term, null);
        return true;
    }
  }

  /** A peer is in an earlier term. An answer brings it to ours; answers themselves need none. */
  #answerLate({ kind, from }: Message): void {
    switch (kind) {
      case "vote":
        this.#self.send(from, { kind: "voteReply", isGranted: false });
        return;
      case "append":
      case "heartbeat":
      case "installSnapshot":
      case "readIndex":
      case "propose":
        this.#self.send(from, { kind: "heartbeatReply", round: 0, commit: this.#self.log.commit });
        return;
      default:
        return;
    }
  }

  #receive(message: Message): void {
    const role = this.#role;
    if (role.name === "leader") role.leader.heardFrom(message.from);
    switch (message.kind) {
      case "vote":
        this.#onVote(message);
        return;
      case "voteReply":
        if (role.name !== "candidate") return;
        this.#onTally(role.election.record(message.from, message.isGranted));
        return;
      case "append":
        this.#onLeaderHeard(message.from);
        takeAppend(this.#self, message.from, message);
        return;
      case "heartbeat": {
        this.#onLeaderHeard(message.from);
        const { round } = message;
        this.#self.send(message.from, { kind: "heartbeatReply", round, commit: this.#self.log.commit });
        return;
      }
      case "installSnapshot":
        this.#onLeaderHeard(message.from);
        takeSnapshot(this.#self, message.from, message);
        return;
      case "appendReply":
        if (role.name === "leader") role.leader.onAppendReply(message.from, message);
        return;
      case "heartbeatReply":
        if (role.name === "leader") role.leader.onHeartbeatReply(message.from, message);
        return;
      case "timeoutNow":
        if (message.from === this.#self.leaderId && this.#mayCampaign) this.#askForVotes(true);
        return;
      case "readIndex":
        if (role.name === "leader") role.leader.read({ from: message.from, request: message.request });
        else this.#self.send(message.from, { kind: "readIndexReply", request: message.request, index: null });
        return;
      case "propose":
        this.#onPropose(message);
        return;
      case "readIndexReply":
        this.#onReadIndexReply(message);
        return;
      case "proposeReply":
        if (!this.#forwarded.settle("proposal", message.request)) return;
        this.#self.outbox.endForwarded({ request: message.request, outcome: message.outcome });
        return;
      default:
        return;
    }
  }

  // Elections

  /**
   * Whether this member's campaign could mean anything: a voter, and its disk takes a vote. Its removal counts
   * here only once it is committed: the entry that says so may be in no other log, and then nobody else could
   * win (dissertation, section 4.2.2).
   */
  get #mayCampaign(): boolean {
    const { isVoter, log, id, durability } = this.#self;
    const isVoterYet = isVoter || voterIds(log.history.at(log.commit)).includes(id);
    return isVoterYet && durability.writeTicks < this.#config.electionTicks;
  }

  /**
   * A member without a log that names its tier may have lost one, and with it a vote: it gives none. A learner
   * does: it may be a voter already and not know it yet (dissertation, section 4.2.2). Whether its vote
   * counts, the candidate's membership says.
   */
  get #knowsMembers(): boolean {
    return this.#self.membership.length > 0;
  }

  /** Whether there is a leader for all we know. One's own ear is enough: a leader is heard by its quorum. */
  get #isLeaderHeard(): boolean {
    if (this.#role.name === "leader") return true;
    return this.#self.leaderId !== null && this.#silentTicks < this.#config.electionTicks;
  }

  #askWhetherItCouldWin(): void {
    const { id, voters, log } = this.#self;
    const election = new Election("preVote", voters);
    this.#loseLeader();
    this.#role = { name: "preCandidate", election };
    this.#restartTimer();
    for (const voter of voters) {
      if (voter !== id) this.#self.send(voter, { kind: "preVote", last: positionOf(log.last) });
    }
    this.#onTally(election.record(id, true));
  }

  /** Nothing of it leaves, and the own vote does not count, before the vote is durable. */
  #askForVotes(isTransfer: boolean): void {
    const { id, voters, log, term } = this.#self;
    this.#loseLeader();
    this.#self.enterTerm(term + 1);
    this.#self.voteFor(id);
    this.#role = { name: "candidate", election: new Election("vote", voters) };
    this.#restartTimer();
    for (const voter of voters) {
      if (voter !== id) this.#self.promise(voter, { kind: "vote", last: positionOf(log.last), isTransfer });
    }
  }

  #onTally(tally: Tally): void {
    if (tally === "lost") this.#becomeFollower(this.#self.term, null);
    if (tally !== "won") return;
    if (this.#role.name === "preCandidate") this.#askForVotes(false);
    else this.#becomeLeader();
  }

  #onPreVote({ from, term, last }: MessageOf<"preVote">): void {
    if (!this.#knowsMembers) return;
    const isGranted = grantsPreVote(this.#voter, {
      askedTerm: term,
      last,
      isLeaderHeard: this.#isLeaderHeard,
    });
    this.#self.send(from, { kind: "preVoteReply", askedTerm: term, isGranted });
  }

  #onPreVoteReply({ from, term, askedTerm, isGranted }: MessageOf<"preVoteReply">): void {
    if (term > this.#self.term) {
      // Only by asking in a later term can we win, and only so do cohorts with different terms come together.
      this.#becomeFollower(term, null);
    } else if (this.#role.name === "preCandidate" && askedTerm === this.#self.term) {
      this.#onTally(this.#role.election.record(from, isGranted));
    }
  }

  #onVote({ from, last }: MessageOf<"vote">): void {
    if (!this.#knowsMembers) return;
    if (!grantsVote(this.#voter, { id: from, last })) {
      this.#self.send(from, { kind: "voteReply", isGranted: false });
      return;
    }
    this.#self.voteFor(from);
    this.#becomeFollower(this.#self.term, null);
    this.#self.promise(from, { kind: "voteReply", isGranted: true });
  }

  get #voter(): Parameters<typeof grantsVote>[0] {
    const { term, vote, leaderId, log } = this.#self;
    return { term, vote, leaderId, last: log.last };
  }

  #restartTimer(): void {
    const { electionTicks, random } = this.#config;
    this.#silentTicks = 0;
    this.#campaignTicks = electionTicks + Math.floor(random() * electionTicks);
  }

  // Roles

  #becomeFollower(term: number, leaderId: string | null): void {
    if (this.#role.name === "leader") this.#role.leader.stepDown();
    if (term > this.#self.term || leaderId !== this.#self.leaderId) this.#loseLeader();
    if (term > this.#self.term) this.#self.enterTerm(term);
    this.#self.follow(leaderId);
    this.#role = FOLLOWER;
    this.#restartTimer();
  }

  #becomeLeader(): void {
    this.#self.follow(this.#self.id);
    this.#role = { name: "leader", leader: new Leader(this.#self) };
  }

  /** Whatever the leader says, a rejection or a long snapshot, it is there. */
  #onLeaderHeard(leaderId: string): void {
    this.#self.follow(leaderId);
    if (this.#role.name !== "follower") this.#becomeFollower(this.#self.term, leaderId);
    this.#restartTimer();
  }

  #loseLeader(): void {
    this.#self.follow(null);
    for (const { kind, request } of this.#forwarded.abandon()) this.#giveUp(kind, request);
  }

  /** Source: dissertation, section 4.2.2: until then it leads a tier that it is no part of. */
  #leaveIfDismissed(): void {
    if (this.#role.name !== "leader" || !this.#role.leader.isDismissed) return;
    this.#role.leader.bequeath();
    this.#becomeFollower(this.#self.term, null);
  }

  // Requests that came from or went to another member

  #onPropose({ from, request, payload }: MessageOf<"propose">): void {
    const outcome =
      this.#role.name === "leader"
        ? this.#role.leader.proposeOnce(request, payload)
        : ({ kind: "refused", reason: "notLeader" } as const);
    this.#self.send(from, { kind: "proposeReply", request, outcome });
  }

  #onReadIndexReply({ request, index }: MessageOf<"readIndexReply">): void {
    if (!this.#forwarded.settle("read", request)) return;
    const { outbox } = this.#self;
    outbox.endRead(index === null ? { request, kind: "failed" } : { request, kind: "confirmed", index });
  }

  #giveUp(kind: "read" | "proposal", request: RequestId): void {
    if (kind === "read") this.#self.outbox.endRead({ request, kind: "failed" });
    else this.#self.outbox.endForwarded({ request, outcome: { kind: "unknown" } });
  }

  // What the runner takes

  /**
   * Only what is durable here too: else a restart could find a state machine that is ahead of the log. What
   * came before a snapshot that was installed is in that.
   */
  #takeCommitted(): readonly Entry[] {
    const { log, durability } = this.#self;
    this.#handedOut = Math.max(this.#handedOut, log.base.index);
    const upTo = Math.min(log.commit, durability.persisted);
    const committed = log.entriesAfter(this.#handedOut, this.#config.maxCommittedBytes, upTo);
    this.#handedOut += committed.length;
    return committed;
  }

  get #leadership(): LeadershipView {
    const { term, leaderId } = this.#self;
    return { role: this.#role.name, term, leaderId };
  }

  #takeLeadership(): LeadershipView | null {
    const now = this.#leadership;
    const told = this.#toldLeadership;
    if (now.role === told.role && now.term === told.term && now.leaderId === told.leaderId) return null;
    this.#toldLeadership = now;
    return now;
  }
}

/** A position, of an entry that has more. */
function positionOf({ index, term }: Position): Position {
  return { index, term };
}
