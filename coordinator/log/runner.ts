import type { Clock } from "../../common/clock.js";
import type { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { RaftCore } from "../raft/core.js";
import { NO_MEMBERS } from "../raft/membership.js";
import type { Membership } from "../raft/membership.js";
import type { Message, MessageOf, SnapshotMark } from "../raft/message.js";
import { isIdle } from "../raft/ready.js";
import type { LeadershipView, Ready, Write } from "../raft/ready.js";
import { Conditions } from "./conditions.js";
import type { Contact } from "./contact.js";
import type { DiskWatch } from "./disk-watch.js";
import { keptUntilThereIsRoom, stopping } from "./log-errors.js";
import { LogWriter } from "./log-writer.js";
import type { Proposals } from "./proposals.js";
import type { ReadBarriers } from "./read-barriers.js";
import { SnapshotArrivals } from "./snapshot-arrivals.js";
import { SnapshotSending } from "./snapshot-sending.js";
import type { LogStorage } from "./storage/log-storage.js";
import { Ticker } from "./ticker.js";
import type { PeerTransport, TransportHandler } from "./transport/peer-transport.js";

export type RunnerParts = {
  readonly memberId: string;
  readonly core: RaftCore;
  readonly storage: LogStorage;
  readonly diskWatch: DiskWatch;
  readonly transport: PeerTransport;
  readonly proposals: Proposals;
  readonly reads: ReadBarriers;
  readonly contact: Contact;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tickMs: number;
  /** Entries up to this index may be read now. */
  readonly onDelivered: (index: number) => void;
  readonly onLeadership: (view: LeadershipView) => void;
  /** The log has stopped for good: nobody knows what the disk holds, or a bug of ours has shown. */
  readonly onFailure: (failure: unknown) => void;
};

/**
 * The one owner of a member's core. Messages, ticks, proposals and finished writes come in; each call into
 * the core is followed by a turn of the loop that does what `ready()` says. No turn waits for anything, so
 * that none sees a state that another has left half done.
 */
export class RaftRunner implements TransportHandler {
  readonly #parts: RunnerParts;
  readonly #ticker: Ticker;
  readonly #conditions: Conditions;
  readonly #writer: LogWriter;
  readonly #arrivals = new SnapshotArrivals();
  readonly #sending: SnapshotSending;
  readonly #abort = new AbortController();
  #isScheduled = false;
  #isStopped = false;
  #writing: Promise<void> | null = null;
  #followed: Membership = NO_MEMBERS;
  #toldLeaderId: string | null = null;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    const { storage, diskWatch, transport, clock, logger } = parts;
    const { signal } = this.#abort;
    this.#conditions = new Conditions(clock);
    this.#writer = new LogWriter({
      storage,
      arrivals: this.#arrivals,
      diskWatch,
      clock,
      logger,
      onDiskFull: (error, isFirst) => this.#onDiskFull(error, isFirst),
      signal,
    });
    this.#sending = new SnapshotSending({ storage, transport, clock, logger, signal });
    transport.start(this);
    this.#ticker = new Ticker({
      clock,
      tickMs: parts.tickMs,
      onTicks: (count) => this.#onTicks(count),
    });
    this.wake();
  }

  /** Tries what the full disk refused now, and not only in a while. */
  retryDisk(): void {
    this.#writer.retry();
  }

  /**
   * Has the loop take a turn, after everything that has arrived by now has been taken in: so what comes
   * together shares a write and a message.
   */
  wake(): void {
    if (this.#isScheduled || this.#isStopped) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#guarded(() => this.#turn());
    });
  }

  /** Resolves with true once `isTrue`, and with false after `timeoutMs` or when the loop has stopped. */
  until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
    return this.#conditions.until(isTrue, timeoutMs);
  }

  onMessages(messages: readonly Message[]): void {
    this.#guarded(() => {
      for (const message of messages) this.#step(message);
    });
    this.wake();
  }

  async onSnapshot(message: MessageOf<"installSnapshot">, data: Uint8Array): Promise<void> {
    const { core, storage } = this.#parts;
    const { last, membership } = message;
    let installed = Promise.resolve();
    this.#guarded(() => {
      this.#step(message);
      const isTaken = core.base.index === last.index && core.last.index === last.index;
      if (isTaken && last.index > storage.base.index) {
        installed = this.#arrivals.add({ last, membership }, data);
      }
    });
    if (this.#isStopped) throw notInstalled();
    this.wake();
    await installed;
  }

  onUnreachable(peer: string): void {
    this.#guarded(() => this.#parts.core.reportUnreachable(peer));
    this.wake();
  }

  onDisconnected(peer: string): void {
    this.#guarded(() => this.#parts.core.reportDisconnected(peer));
    this.wake();
  }

  /** Ends the loop; what the disk was asked to write is waited for. */
  async stop(): Promise<void> {
    this.#end();
    await this.#writing;
  }

  #step(message: Message): void {
    this.#parts.contact.onHeard(message.from);
    this.#parts.core.step(message);
  }

  #onTicks(count: number): void {
    const { core, clock, proposals, reads, contact } = this.#parts;
    this.#guarded(() => {
      for (let tick = 0; tick < count; tick++) core.tick();
      if (core.leaderId !== null) contact.onLeaderSeen();
      proposals.tick(clock.monotonicMs());
      reads.tick(clock.monotonicMs());
    });
    this.wake();
  }

  #turn(): void {
    const { core, proposals, reads } = this.#parts;
    if (!this.#holdsProposals) proposals.hand(core);
    reads.hand(core);
    this.#drain();
  }

  /**
   * Alone, a proposal handed over while a write runs would only miss those that come before its end, and
   * the write after would be smaller. With peers it can travel to them meanwhile.
   */
  get #holdsProposals(): boolean {
    return this.#writing !== null && this.#followed.length < 2;
  }

  #drain(): void {
    const { core, proposals } = this.#parts;
    for (let ready = core.ready(); !isIdle(ready); ready = core.ready()) this.#do(ready);
    proposals.settle(core);
    this.#followMembers();
    this.#conditions.check();
  }

  #do(ready: Ready): void {
    const { core, proposals, reads } = this.#parts;
    this.#send(ready.messages);
    if (ready.write !== null) {
      this.#writing = this.#persist(ready.write);
    }
    const last = ready.committed.at(-1);
    if (last !== undefined) {
      core.applied(last.index);
      this.#parts.onDelivered(last.index);
    }
    for (const outcome of ready.reads) reads.onOutcome(outcome);
    for (const result of ready.forwarded) proposals.onForwarded(result);
    if (ready.leadership !== null) this.#onLeadership(ready.leadership);
  }

  #onLeadership(view: LeadershipView): void {
    const { proposals, reads, contact, logger, onLeadership } = this.#parts;
    const level = view.leaderId === this.#toldLeaderId ? "debug" : "info";
    logger[level]("raft.leadership", { role: view.role, term: view.term, leader: view.leaderId });
    this.#toldLeaderId = view.leaderId;
    if (view.leaderId !== null) {
      contact.onLeaderSeen();
      proposals.release();
      reads.release();
      this.wake();
    }
    onLeadership(view);
  }

  #followMembers(): void {
    const { core, transport, memberId } = this.#parts;
    const { membership } = core;
    if (membership === this.#followed) return;
    this.#followed = membership;
    transport.follow(membership.filter(({ id }) => id !== memberId));
  }

  #send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const plain = messages.filter((message) => message.kind !== "installSnapshot");
    this.#parts.transport.send(plain);
    for (const message of messages) {
      if (message.kind === "installSnapshot") void this.#sendSnapshot(message);
    }
  }

  async #sendSnapshot(message: MessageOf<"installSnapshot">): Promise<void> {
    const isInstalled = await this.#sending.send(message);
    // Only once it is told does the core ask again.
    this.#guarded(() => this.#parts.core.reportSnapshot(message.to, isInstalled));
    this.wake();
  }

  async #persist(write: Write): Promise<void> {
    try {
      await this.#writer.write(write);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    if (this.#isStopped) return;
    this.#writing = null;
    this.#guarded(() => {
      this.#parts.core.persisted(write.id);
      this.#send(write.messages);
      if (write.snapshot !== undefined) this.#onInstalled(write.snapshot);
      // Without what was proposed meanwhile: those who are answered now may ask again, in the same write.
      this.#drain();
    });
    this.wake();
  }

  #onDiskFull(error: ClusterduckError, isFirst: boolean): void {
    const { core, proposals } = this.#parts;
    // Others have room, perhaps.
    if (isFirst) this.#guarded(() => core.transferLeadership());
    // A follower's proposals depend on other disks.
    if (core.role === "leader" || core.leaderId === null) {
      proposals.rejectQueued(error);
      proposals.rejectHanded(keptUntilThereIsRoom(error));
    }
    this.#conditions.check();
    this.wake();
  }

  #onInstalled({ last }: SnapshotMark): void {
    const { core, onDelivered, logger } = this.#parts;
    this.#arrivals.onInstalled(last.index);
    core.applied(last.index);
    onDelivered(last.index);
    logger.info("raft.snapshot_installed", { index: last.index, term: last.term });
  }

  #guarded(work: () => void): void {
    if (this.#isStopped) return;
    try {
      work();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    if (this.#isStopped) return;
    this.#end();
    this.#parts.logger.error("raft.failed", { error: thrown });
    this.#parts.onFailure(thrown);
  }

  #end(): void {
    this.#isStopped = true;
    this.#ticker.stop();
    this.#abort.abort();
    this.#arrivals.rejectAll(notInstalled());
    this.#conditions.close();
  }
}

function notInstalled(): ClusterduckError {
  return stopping("Cannot install a snapshot");
}
