import type { RaftConfig, RestoredState } from "./config.js";
import type { Entry, Position } from "./entry.js";
import { invariant } from "./invariant.js";
import type { Membership, MembershipChange } from "./membership.js";
import type { Message, RequestId, SnapshotMark } from "./message.js";
import type { LeadershipView, Ready, Role } from "./ready.js";
import { receive } from "./receive.js";
import { ForwardedRequests } from "./requests.js";
import type { MembershipResult, ProposeResult, TransferResult } from "./results.js";
import { Roles } from "./roles.js";
import { Self } from "./self.js";
import { peerStatus } from "./status.js";
import type { RaftStatus } from "./status.js";

/**
 * One member's part in the consensus of its tier. Messages and ticks go in; `ready()` says what to write,
 * send and apply. It has no clock, no chance of its own and does no IO, so the same calls always lead to
 * the same state. Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm"
 * (2014, here "Raft paper"); Ongaro, "Consensus: Bridging Theory and Practice" (2014, "dissertation").
 *
 * Every method may throw InvariantViolation: the process must then end.
 */
export class RaftCore {
  readonly #self: Self;
  readonly #roles: Roles;
  readonly #forwarded: ForwardedRequests;
  #handedOut: number;
  #applied: number;
  #toldLeadership: LeadershipView;

  constructor(config: RaftConfig, restored: RestoredState) {
    this.#self = new Self(config, restored);
    this.#toldLeadership = { role: "follower", term: this.#self.term, leaderId: null };
    this.#forwarded = new ForwardedRequests(this.#self);
    this.#roles = new Roles(this.#self, this.#forwarded);
    this.#handedOut = restored.base.last.index;
    this.#applied = restored.base.last.index;
  }

  // What happens to it

  /** Takes a message of a peer. */
  step(message: Message): void {
    receive({ self: this.#self, roles: this.#roles, forwarded: this.#forwarded }, message);
  }

  /** Time goes by. After a pause of the process, a few ticks at most make up for it. */
  tick(): void {
    this.#self.durability.tick();
    this.#forwarded.tick();
    this.#roles.tick();
  }

  /** The transport has lost what it sent to a peer. */
  reportUnreachable(peer: string): void {
    this.#roles.leader?.reportUnreachable(peer);
  }

  /**
   * A connection to a peer that was up has ended, as all do at once when its process ends. Those who lose the
   * leader need not wait for its silence to last an election timeout: as with any campaign, the pre-vote keeps
   * the tier as it is while a quorum hears the leader.
   */
  reportDisconnected(peer: string): void {
    this.#roles.onDisconnected(peer);
  }

  /** Must follow each `installSnapshot` that went out: the peer has it all, or sending has failed. */
  reportSnapshot(peer: string, isInstalled: boolean): void {
    this.#roles.leader?.reportSnapshot(peer, isInstalled);
  }

  // What is asked of it

  /** Asks to lead now, without waiting for the leader's silence. Does nothing for one who may not. */
  campaign(): void {
    this.#roles.campaign();
  }

  /** Takes all payloads as commands, or none. Only the leader does. */
  propose(payloads: readonly Uint8Array[]): ProposeResult {
    invariant(payloads.length > 0, "A proposal has at least one payload");
    return this.#roles.leader?.propose(payloads) ?? { isAccepted: false, reason: "notLeader" };
  }

  /**
   * Proposes here or, once, to the leader; `Ready.forwarded` tells the end of it. After `unknown` whoever
   * asks again may have the payload in the log twice, unless it holds the request's id and whoever applies
   * it looks. Source: dissertation, section 6.3.
   */
  forward(request: RequestId, payload: Uint8Array): void {
    const { leader } = this.#roles;
    if (leader === null) this.#forwarded.propose(request, payload);
    else this.#self.outbox.endForwarded({ request, outcome: leader.proposeOnce(request, payload) });
  }

  proposeMembership(change: MembershipChange): MembershipResult {
    return this.#roles.leader?.proposeMembership(change) ?? { isAccepted: false, reason: "notLeader" };
  }

  /** Asks, here or at the leader, which index a linearizable read must wait for; `Ready.reads` answers. */
  readIndex(request: RequestId): void {
    const { leader } = this.#roles;
    if (leader === null) this.#forwarded.read(request);
    else leader.read({ from: this.#self.id, request });
  }

  /** Hands leadership to a voter, or to whoever lacks least. Proposals are refused while that lasts. */
  transferLeadership(to?: string): TransferResult {
    return this.#roles.leader?.transferTo(to) ?? { isAccepted: false, reason: "notLeader" };
  }

  // What it wants, and how that went

  /** What is to be done now; see `Ready`. */
  ready(): Ready {
    this.#roles.leader?.flush();
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
    this.#self.durability.finish(writeId);
    this.#roles.onPersisted();
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

  // What can be seen of it

  get role(): Role {
    return this.#roles.state.name;
  }

  get term(): number {
    return this.#self.term;
  }

  /** Null while nobody is known to lead. */
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
    return this.#self.lastPosition;
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
    return this.#self.log.markAt(index);
  }

  status(): RaftStatus {
    const { id, vote, log, durability, membership, lastPosition } = this.#self;
    const { state, leader, leadership } = this.#roles;
    return {
      ...leadership,
      id,
      vote,
      commit: log.commit,
      applied: this.#applied,
      persisted: durability.persisted,
      base: log.base,
      last: lastPosition,
      snapshot: log.snapshot.last,
      membership,
      membershipIndex: log.history.currentIndex,
      uncommittedBytes: log.uncommittedBytes,
      writeTicks: durability.writeTicks,
      transferringTo: leader?.transferringTo ?? null,
      votes: "election" in state ? state.election.votes : [],
      peers: leader === null ? [] : [...leader.peers].map(([peer, progress]) => peerStatus(peer, progress)),
    };
  }

  /**
   * Only what is durable here too: else a restart could find a state machine that is ahead of the log. What
   * came before a snapshot that was installed is in that.
   */
  #takeCommitted(): readonly Entry[] {
    const { log, durability, config } = this.#self;
    this.#handedOut = Math.max(this.#handedOut, log.base.index);
    const upTo = Math.min(log.commit, durability.persisted);
    const committed = log.entriesAfter(this.#handedOut, config.maxCommittedBytes, upTo);
    this.#handedOut += committed.length;
    return committed;
  }

  #takeLeadership(): LeadershipView | null {
    const now = this.#roles.leadership;
    const told = this.#toldLeadership;
    if (now.role === told.role && now.term === told.term && now.leaderId === told.leaderId) return null;
    this.#toldLeadership = now;
    return now;
  }
}
