import { Election } from "./election.js";
import { Leader } from "./leader.js";
import { voterIds } from "./membership.js";
import type { Tally } from "./quorum.js";
import type { LeadershipView } from "./ready.js";
import type { ForwardedRequests } from "./requests.js";
import type { Self } from "./self.js";

export type RoleState =
  | { readonly name: "follower" }
  | { readonly name: "preCandidate" | "candidate"; readonly election: Election }
  | { readonly name: "leader"; readonly leader: Leader };

/**
 * Between two who would succeed a leader that is gone, as a share of the election timeout: the first one's question
 * and its vote, which has to be durable before it leaves, must have arrived by then.
 */
const BETWEEN_SUCCESSORS = 1 / 5;

const FOLLOWER: RoleState = { name: "follower" };

/**
 * Which role a member plays, and how one leads to another (Raft paper, figure 4). What belongs to a role
 * alone is in its state and ends with it.
 */
export class Roles {
  readonly #self: Self;
  readonly #forwarded: ForwardedRequests;
  #state: RoleState = FOLLOWER;
  /** Since the leader was heard, a vote was given or a campaign begun. */
  #silentTicks = 0;
  #campaignTicks = 0;
  #ticksToAskAgain = 0;
  /** The connection to the leader has ended, and it was not heard since. */
  #isLeaderGone = false;

  constructor(self: Self, forwarded: ForwardedRequests) {
    this.#self = self;
    this.#forwarded = forwarded;
    this.#restartTimer();
    // Nobody else could be asked, so there is nothing to wait for.
    if (self.isOnlyVoter) this.campaign();
  }

  get state(): RoleState {
    return this.#state;
  }

  /** Null unless this member leads. */
  get leader(): Leader | null {
    return this.#state.name === "leader" ? this.#state.leader : null;
  }

  get leadership(): LeadershipView {
    const { term, leaderId } = this.#self;
    return { role: this.#state.name, term, leaderId };
  }

  /** Whether there is a leader for all we know. One's own ear is enough: a leader is heard by its quorum. */
  get isLeaderHeard(): boolean {
    if (this.#state.name === "leader") return true;
    const isSilent = this.#silentTicks >= this.#self.config.electionTicks;
    return this.#self.leaderId !== null && !isSilent && !this.#isLeaderGone;
  }

  tick(): void {
    if (this.#state.name === "leader") {
      // One whose disk hangs holds up everyone, while its heartbeats keep others from taking over.
      if (this.#self.isDiskStalled || !this.#state.leader.tick()) this.becomeFollower(this.#self.term, null);
      return;
    }
    this.#silentTicks++;
    const isOver = this.#silentTicks >= this.#campaignTicks;
    const isAlone = this.#state.name === "follower" && this.#self.isOnlyVoter;
    if (this.#mayCampaign && (isOver || isAlone)) this.campaign();
    else if (isOver) this.becomeFollower(this.#self.term, null);
    else if (this.#state.name !== "follower") this.#tickElection(this.#state.election);
  }

  /** Asks whether it could win; does nothing for one who leads, or may not campaign. */
  campaign(): void {
    if (this.#state.name === "leader" || !this.#mayCampaign) return;
    const { id, voters } = this.#self;
    const election = new Election("preVote", voters);
    this.#loseLeader();
    this.#state = { name: "preCandidate", election };
    this.#restartTimer();
    this.#ask(election);
    this.#onTally(election.record(id, true));
  }

  /** The leader wants this member to follow it, now and whatever the others hear. */
  takeOver(): void {
    if (this.#mayCampaign) this.#askForVotes(true);
  }

  /**
   * A connection has ended as it does when the process behind it ends. Who loses the leader so asks soon whether
   * it could win, one voter after the other, so that they do not split the votes. While a quorum hears the leader
   * it could not.
   */
  onDisconnected(peer: string): void {
    if (this.#state.name !== "follower" || peer !== this.#self.leaderId) return;
    const { id, voters, config } = this.#self;
    const rank = [...voters]
      .sort()
      .filter((voter) => voter !== peer)
      .indexOf(id);
    this.#isLeaderGone = true;
    const soonTicks = 1 + Math.max(0, rank) * Math.ceil(config.electionTicks * BETWEEN_SUCCESSORS);
    this.#campaignTicks = Math.min(this.#campaignTicks, this.#silentTicks + soonTicks);
  }

  onPreVoteReply(voter: string, isGranted: boolean): void {
    if (this.#state.name === "preCandidate") this.#onTally(this.#state.election.record(voter, isGranted));
  }

  onVoteReply(voter: string, isGranted: boolean): void {
    if (this.#state.name === "candidate") this.#onTally(this.#state.election.record(voter, isGranted));
  }

  onPersisted(): void {
    const { id, term, durability } = this.#self;
    if (durability.hardState.term === term && durability.hardState.vote === id) this.onVoteReply(id, true);
    this.leader?.onPersisted();
    this.leaveIfDismissed();
  }

  /** Of `term`, which may be the present one. Without `leaderId` nobody is known to lead it. */
  becomeFollower(term: number, leaderId: string | null): void {
    this.leader?.stepDown();
    if (term > this.#self.term || leaderId !== this.#self.leaderId) this.#loseLeader();
    if (term > this.#self.term) this.#self.enterTerm(term);
    this.#self.follow(leaderId);
    this.#state = FOLLOWER;
    this.#restartTimer();
  }

  /** Whatever the leader of the term says, a rejection or a long snapshot: it is there. */
  onLeaderHeard(leaderId: string): void {
    this.#self.follow(leaderId);
    if (this.#state.name !== "follower") this.becomeFollower(this.#self.term, leaderId);
    this.#restartTimer();
  }

  /** A leader that is no voter any more leads a tier that it is no part of. Source: dissertation, section 4.2.2. */
  leaveIfDismissed(): void {
    if (this.leader?.isDismissed !== true) return;
    this.leader.bequeath();
    this.becomeFollower(this.#self.term, null);
  }

  /**
   * A campaign of one who is no voter, or whose disk cannot take the vote, would lead to nothing. A removal
   * counts here only once it is committed: the entry that says so may be in no other log, and then nobody
   * else could win (dissertation, section 4.2.2).
   */
  get #mayCampaign(): boolean {
    const { isVoter, log, id, isDiskStalled } = this.#self;
    const isVoterYet = isVoter || voterIds(log.markAt(log.commit).membership).includes(id);
    return isVoterYet && !isDiskStalled;
  }

  /** Nothing of it leaves, and the own vote does not count, before that vote is durable. */
  #askForVotes(isTransfer: boolean): void {
    const { id, voters } = this.#self;
    const election = new Election("vote", voters, isTransfer);
    this.#loseLeader();
    this.#self.enterTerm(this.#self.term + 1);
    this.#self.voteFor(id);
    this.#state = { name: "candidate", election };
    this.#restartTimer();
    this.#ask(election);
  }

  /** Whoever has not answered; a question or its answer may be lost (Raft paper, section 5.1). */
  #ask({ phase, silent, isTransfer }: Election): void {
    const { id, lastPosition, config } = this.#self;
    this.#ticksToAskAgain = config.heartbeatTicks;
    for (const voter of silent) {
      if (voter === id) continue;
      if (phase === "preVote") this.#self.send(voter, { kind: "preVote", last: lastPosition });
      else this.#self.promise(voter, { kind: "vote", last: lastPosition, isTransfer });
    }
  }

  #tickElection(election: Election): void {
    // What waits for the disk has not left yet.
    if (this.#self.durability.isWriting) return;
    this.#ticksToAskAgain--;
    if (this.#ticksToAskAgain <= 0) this.#ask(election);
  }

  #onTally(tally: Tally): void {
    if (tally === "lost") this.becomeFollower(this.#self.term, null);
    if (tally !== "won") return;
    if (this.#state.name === "preCandidate") this.#askForVotes(false);
    else this.#becomeLeader();
  }

  #becomeLeader(): void {
    this.#self.follow(this.#self.id);
    this.#state = { name: "leader", leader: new Leader(this.#self) };
  }

  #loseLeader(): void {
    this.#self.follow(null);
    this.#forwarded.abandon();
  }

  #restartTimer(): void {
    const { electionTicks, random } = this.#self.config;
    this.#silentTicks = 0;
    this.#isLeaderGone = false;
    this.#campaignTicks = electionTicks + Math.floor(random() * electionTicks);
  }
}
