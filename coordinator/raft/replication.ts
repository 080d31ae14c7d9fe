import { entryBytes } from "./entry.js";
import { invariant } from "./invariant.js";
import type { Append, AppendReply, HeartbeatReply } from "./message.js";
import { Progress } from "./progress.js";
import { hasQuorum, quorumIndex } from "./quorum.js";
import type { Self } from "./self.js";

/**
 * A leader's view of its peers: who has what, and what to send next. `flush` sends whatever a peer lacks
 * and may get, so nothing is forgotten; the handlers only note what they learn.
 */
export class Replication {
  readonly #self: Self;
  /** By id, sorted. Also those who were removed, until they know it. */
  #peers = new Map<string, Progress>();
  /** Removed peers, and the index of the entry that says so. */
  readonly #departing = new Map<string, number>();

  constructor(self: Self) {
    this.#self = self;
    this.followMembership();
  }

  get peers(): ReadonlyMap<string, Progress> {
    return this.#peers;
  }

  /** Begins with new members, and says farewell to those who were removed. */
  followMembership(): void {
    const { membership, id, log } = this.#self;
    const ids = new Set(membership.map((member) => member.id));
    for (const peer of this.#peers.keys()) {
      if (!ids.has(peer)) this.#departing.set(peer, log.history.currentIndex);
    }
    for (const peer of ids) {
      // Added again: whatever it had may be gone by now.
      if (this.#departing.delete(peer)) this.#peers.delete(peer);
    }
    const sorted = [...ids, ...this.#departing.keys()].filter((peer) => peer !== id).sort();
    this.#peers = new Map(sorted.map((peer) => [peer, this.#peers.get(peer) ?? this.#newProgress()]));
  }

  tick(): void {
    for (const progress of this.#peers.values()) progress.tick();
  }

  /** Whether a peer has been heard lately. A new leader gives each of them time to speak up. */
  isInContact(peer: string): boolean {
    const progress = this.#peers.get(peer);
    return progress !== undefined && progress.silentTicks < this.#self.config.electionTicks;
  }

  /** Whether enough voters are in contact to commit anything. */
  get hasQuorum(): boolean {
    const { voters, id } = this.#self;
    return hasQuorum(voters, (voter) => voter === id || this.isInContact(voter));
  }

  hasAnsweredRound(round: number): boolean {
    const { voters, id } = this.#self;
    return hasQuorum(
      voters,
      (voter) => voter === id || (this.#peers.get(voter)?.answeredRound ?? 0) >= round,
    );
  }

  /** What a quorum has durably. The leader counts itself only with what its own disk has. */
  get quorumIndex(): number {
    const { voters, id, durability } = this.#self;
    return quorumIndex(
      voters.map((voter) => (voter === id ? durability.persisted : (this.#peers.get(voter)?.match ?? 0))),
    );
  }

  onAppendReply(from: string, reply: AppendReply): void {
    const progress = this.#peers.get(from);
    if (progress === undefined) return;
    const { log } = this.#self;
    if (reply.isAccepted) {
      invariant(reply.match <= log.last.index, `"${from}" has ${reply.match}, the leader ${log.last.index}`);
      progress.accepted(reply.match, log.base.index);
    } else {
      progress.rejected(reply.rejected, log.lastAgreeing(reply.hint) + 1);
    }
  }

  onHeartbeatReply(from: string, reply: HeartbeatReply): void {
    const { log } = this.#self;
    this.#peers.get(from)?.answeredHeartbeat(reply.round, reply.commit, log.last.index, log.commit);
  }

  heartbeat(round: number): void {
    for (const peer of this.#peers.keys()) this.#self.send(peer, { kind: "heartbeat", round });
  }

  flush(): void {
    for (const [peer, progress] of this.#peers) this.#flushPeer(peer, progress);
    for (const [peer, removedAt] of this.#departing) this.#letGo(peer, removedAt);
  }

  #flushPeer(peer: string, progress: Progress): void {
    const { log } = this.#self;
    while (progress.wantsAppend(log.last.index, log.commit)) {
      const append = this.#nextAppend(progress);
      if (append === null) {
        this.#sendSnapshot(peer, progress);
        return;
      }
      this.#self.send(peer, append);
      const { previous, entries, commit } = append;
      const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
      progress.sentAppend(previous.index + entries.length, bytes, commit);
    }
  }

  /** Null when the peer needs entries that are no longer in the log. */
  #nextAppend(progress: Progress): Append | null {
    const { log, config } = this.#self;
    const index = progress.next - 1;
    const term = log.termAt(index);
    if (term === null) return null;
    const entries = progress.hasRoom ? log.entriesAfter(index, config.maxAppendBytes) : [];
    const append = { kind: "append", previous: { index, term }, entries, commit: log.commit } as const;
    const isQuiet = entries.length === 0 && progress.match >= index && !progress.isQuestion;
    return isQuiet ? { ...append, isQuiet } : append;
  }

  #sendSnapshot(peer: string, progress: Progress): void {
    const { snapshot } = this.#self.log;
    this.#self.send(peer, { kind: "installSnapshot", ...snapshot });
    progress.sentSnapshot(snapshot.last.index);
  }

  /** A removed peer goes when it has been told that its removal is committed, or does not listen. */
  #letGo(peer: string, removedAt: number): void {
    const isTold = (this.#peers.get(peer)?.toldCommit ?? removedAt) >= removedAt;
    if (!isTold && this.isInContact(peer)) return;
    this.#departing.delete(peer);
    this.#peers.delete(peer);
  }

  #newProgress(): Progress {
    const { config, log } = this.#self;
    return new Progress(log.last.index + 1, {
      maxMessages: config.maxInflightMessages,
      maxBytes: config.maxInflightBytes,
    });
  }
}
