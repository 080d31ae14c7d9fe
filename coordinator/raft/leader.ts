import { entryBytes, NO_PAYLOAD } from "./entry.js";
import type { EntryKind, Position } from "./entry.js";
import { encodeMembership } from "./membership.js";
import type { MembershipChange } from "./membership.js";
import type { AppendReply, ForwardOutcome, HeartbeatReply, ProposalRefusal, RequestId } from "./message.js";
import { ReadQueue } from "./read-queue.js";
import type { Read } from "./read-queue.js";
import { judgeChange } from "./reconfiguration.js";
import { Replication } from "./replication.js";
import { requestKey } from "./requests.js";
import type { MembershipResult, ProposeResult, TransferResult } from "./results.js";
import type { Self } from "./self.js";
import { Succession } from "./succession.js";

/** Forwarded proposals of this term whose answer is remembered, in case one arrives twice. */
const MAX_REMEMBERED_PROPOSALS = 4096;

/**
 * What only a leader is. A member that wins an election makes one, and drops it when it steps down: with
 * it go all progress, reads and the transfer, so nothing of them can reach into another term.
 */
export class Leader {
  readonly #self: Self;
  readonly #replication: Replication;
  readonly #reads = new ReadQueue();
  readonly #proposals = new Map<string, Position>();
  readonly #succession: Succession;
  #ticksToHeartbeat: number;

  /** Opens the term with an entry of its own, without which nothing of earlier terms may count as committed. */
  constructor(self: Self) {
    this.#self = self;
    this.#replication = new Replication(self);
    this.#succession = new Succession(self, this.#replication);
    this.#ticksToHeartbeat = self.config.heartbeatTicks;
    this.#append("noop", [NO_PAYLOAD]);
  }

  get peers(): Replication["peers"] {
    return this.#replication.peers;
  }

  /** Null unless leadership is being handed over. */
  get transferringTo(): string | null {
    return this.#succession.successor;
  }

  /** Whether it has removed or demoted itself, and that is committed. */
  get isDismissed(): boolean {
    const { log, isVoter } = this.#self;
    return !isVoter && log.history.currentIndex <= log.commit;
  }

  /** All of them are taken, or none. */
  propose(payloads: readonly Uint8Array[]): ProposeResult {
    const reason = this.#refusal(payloads);
    if (reason !== null) return { isAccepted: false, reason };
    const first = { index: this.#self.log.last.index + 1, term: this.#self.term };
    this.#append("command", payloads);
    return { isAccepted: true, first };
  }

  /** As `propose`, for one that a peer has passed on. Asked twice, it answers the same. */
  proposeOnce(request: RequestId, payload: Uint8Array): ForwardOutcome {
    const key = requestKey(request);
    const known = this.#proposals.get(key);
    if (known !== undefined) return { kind: "appended", position: known };
    const result = this.propose([payload]);
    if (!result.isAccepted) return { kind: "refused", reason: result.reason };
    this.#proposals.set(key, result.first);
    const [oldest] = this.#proposals.keys();
    const isTooMany = this.#proposals.size > MAX_REMEMBERED_PROPOSALS;
    if (isTooMany && oldest !== undefined) this.#proposals.delete(oldest);
    return { kind: "appended", position: result.first };
  }

  proposeMembership(change: MembershipChange): MembershipResult {
    const judged = judgeChange(this.#self, this.#replication, change);
    if (!judged.isAccepted) return judged;
    const payload = encodeMembership(judged.membership);
    const reason = this.#refusal([payload]);
    if (reason !== null) return { isAccepted: false, reason };
    const position = this.#append("members", [payload]);
    this.#replication.followMembership();
    return { isAccepted: true, position, membership: judged.membership };
  }

  read(read: Read): void {
    this.#reads.add(read);
  }

  transferTo(to: string | undefined): TransferResult {
    return this.#succession.begin(to);
  }

  /** Returns false when no quorum has been heard for an election timeout: somebody else may lead by now. */
  tick(): boolean {
    this.#replication.tick();
    this.#succession.tick();
    if (!this.#replication.hasQuorum) return false;
    this.#ticksToHeartbeat--;
    if (this.#ticksToHeartbeat === 0) this.#heartbeat();
    return true;
  }

  /** Any message of this term shows that a peer is there. */
  heardFrom(peer: string): void {
    this.#replication.peers.get(peer)?.heard();
  }

  onAppendReply(from: string, reply: AppendReply): void {
    this.#replication.onAppendReply(from, reply);
    this.#advanceCommit();
    this.#succession.advance();
  }

  onHeartbeatReply(from: string, reply: HeartbeatReply): void {
    this.#replication.onHeartbeatReply(from, reply);
    this.#confirmReads();
  }

  reportUnreachable(peer: string): void {
    this.#replication.peers.get(peer)?.unreachable();
  }

  reportSnapshot(peer: string, isInstalled: boolean): void {
    this.#replication.peers.get(peer)?.snapshotEnded(isInstalled);
  }

  onPersisted(): void {
    this.#advanceCommit();
  }

  /** Sends what peers lack, and asks whether it still leads if reads wait for that. */
  flush(): void {
    // What was committed before the term is not known until something of the term is.
    if (this.#reads.isRoundDue && this.#self.hasCommittedInTerm) {
      this.#reads.begin(this.#self.log.commit);
      this.#heartbeat();
    }
    this.#replication.flush();
  }

  /** Dismissed: tells its peers what is committed, and one of them to follow it at once. */
  bequeath(): void {
    this.#replication.flush();
    this.#succession.bequeath();
  }

  /** Answers those who wait, so that they ask somebody else. */
  stepDown(): void {
    for (const read of this.#reads.abandon()) this.#endRead(read, null);
  }

  #append(kind: EntryKind, payloads: readonly Uint8Array[]): Position {
    return this.#self.log.append(this.#self.term, kind, payloads);
  }

  #refusal(payloads: readonly Uint8Array[]): ProposalRefusal | null {
    if (this.#succession.successor !== null) return "transferring";
    const { log, config } = this.#self;
    const bytes = payloads.reduce((sum, payload) => sum + entryBytes({ payload }), 0);
    // A single batch may exceed the limit: otherwise a large one could never be proposed.
    const isTooMuch = log.uncommittedBytes > 0 && log.uncommittedBytes + bytes > config.maxUncommittedBytes;
    return isTooMuch ? "tooManyUncommitted" : null;
  }

  /**
   * Counting commits only entries of the own term, and those before with them: an older one may be on a
   * quorum and still be replaced. Source: Raft paper, section 5.4.2 and figure 8.
   */
  #advanceCommit(): void {
    const { log, term } = this.#self;
    const index = this.#replication.quorumIndex;
    if (index > log.commit && log.termAt(index) === term) log.commitTo(index);
  }

  #heartbeat(): void {
    this.#ticksToHeartbeat = this.#self.config.heartbeatTicks;
    this.#replication.heartbeat(this.#reads.round);
    // Nobody else may be needed, or nobody any more.
    this.#confirmReads();
  }

  #confirmReads(): void {
    if (!this.#replication.hasAnsweredRound(this.#reads.round)) return;
    for (const { read, index } of this.#reads.confirm()) this.#endRead(read, index);
  }

  #endRead({ from, request }: Read, index: number | null): void {
    const { id, outbox } = this.#self;
    if (from !== id) this.#self.send(from, { kind: "readIndexReply", request, index });
    else if (index === null) outbox.endRead({ request, kind: "failed" });
    else outbox.endRead({ request, kind: "confirmed", index });
  }
}
