import type { RaftConfig, RestoredState } from "./config.js";
import { Durability } from "./durability.js";
import type { Position } from "./entry.js";
import type { HardState } from "./hard-state.js";
import { invariant } from "./invariant.js";
import { voterIds } from "./membership.js";
import type { Membership } from "./membership.js";
import type { MessageBody } from "./message.js";
import { Outbox } from "./outbox.js";
import { RaftLog } from "./raft-log.js";
import type { Voter } from "./voter.js";

/** What a member is in every role: its term and vote, its log, and what it has to say. */
export class Self {
  readonly config: RaftConfig;
  readonly id: string;
  readonly log: RaftLog;
  readonly durability: Durability;
  readonly outbox = new Outbox();
  #term: number;
  #vote: string | null;
  #leaderId: string | null = null;
  /** As `#leaderId`, but not forgotten when the leader falls silent. */
  #leaderOfTerm: string | null = null;

  /** @throws InvariantViolation when what is restored does not fit together. */
  constructor(config: RaftConfig, { hardState, base, entries }: RestoredState) {
    const { heartbeatTicks, electionTicks } = config;
    const isSane = heartbeatTicks >= 1 && electionTicks > heartbeatTicks;
    invariant(
      isSane,
      `electionTicks is ${electionTicks}, heartbeatTicks ${heartbeatTicks}: it must be longer`,
    );
    this.config = config;
    this.id = config.id;
    const last = entries.at(-1) ?? base.last;
    this.durability = new Durability(last.index, hardState);
    // A crash may come between a snapshot and the hard state that belongs to it. In a term that it did not
    // know, this member cannot have voted.
    const commit = Math.max(hardState.commit, base.last.index);
    this.log = new RaftLog(base, entries, commit, this.durability);
    this.#term = Math.max(hardState.term, last.term);
    this.#vote = this.#term === hardState.term ? hardState.vote : null;
  }

  get term(): number {
    return this.#term;
  }

  get vote(): string | null {
    return this.#vote;
  }

  /** Null while nobody is known to lead the term. */
  get leaderId(): string | null {
    return this.#leaderId;
  }

  get hardState(): HardState {
    return { term: this.#term, vote: this.#vote, commit: this.log.commit };
  }

  /** The newest in the log, committed or not. */
  get membership(): Membership {
    return this.log.history.current;
  }

  get voters(): readonly string[] {
    return voterIds(this.membership);
  }

  get isVoter(): boolean {
    return this.voters.includes(this.id);
  }

  /** Whether nobody else is needed for a quorum. */
  get isOnlyVoter(): boolean {
    return this.isVoter && this.voters.length === 1;
  }

  /**
   * A member without a log that names its tier may have lost one, and with it a vote: it gives none. A
   * learner does: it may be a voter already and not know it yet (dissertation, section 4.1). Whether its vote
   * counts, the candidate's membership says.
   */
  get knowsMembers(): boolean {
    return this.membership.length > 0;
  }

  get lastPosition(): Position {
    const { index, term } = this.log.last;
    return { index, term };
  }

  /** Whether an entry of the term is committed: only then does its leader know all that was before. */
  get hasCommittedInTerm(): boolean {
    return this.log.termAt(this.log.commit) === this.#term;
  }

  /** Whether the running write has taken an election timeout: this member can promise nothing at present. */
  get isDiskStalled(): boolean {
    return this.durability.writeTicks >= this.config.electionTicks;
  }

  /** As one who is asked for a vote. */
  get voter(): Voter {
    return { term: this.#term, vote: this.#vote, leaderId: this.#leaderId, last: this.log.last };
  }

  enterTerm(term: number): void {
    invariant(term > this.#term, `Term ${term} follows term ${this.#term}`);
    this.#term = term;
    this.#vote = null;
    this.#leaderId = null;
    this.#leaderOfTerm = null;
  }

  voteFor(id: string): void {
    invariant(this.#vote === null || this.#vote === id, `A second vote in term ${this.#term}: "${id}"`);
    this.#vote = id;
  }

  /** A term has one leader at most. Null: it has fallen silent. */
  follow(leaderId: string | null): void {
    this.#leaderId = leaderId;
    if (leaderId === null) return;
    this.#leaderOfTerm ??= leaderId;
    const isSame = this.#leaderOfTerm === leaderId;
    invariant(isSame, `Term ${this.#term} has two leaders: "${this.#leaderOfTerm}" and "${leaderId}"`);
  }

  /** Sends with the next `ready()`. */
  send(to: string, body: MessageBody): void {
    this.outbox.send({ from: this.id, to, term: this.#term, ...body });
  }

  /** Sends when all that has happened until now is durable. */
  promise(to: string, body: MessageBody): void {
    this.outbox.promise({ from: this.id, to, term: this.#term, ...body });
  }
}
