import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { RaftCore } from "../raft/core.js";
import { NO_MEMBERS } from "../raft/membership.js";
import type { Membership } from "../raft/membership.js";
import type { Message, MessageOf, SnapshotMark } from "../raft/message.js";
import { isIdle } from "../raft/ready.js";
import type { LeadershipView, Ready, Write } from "../raft/ready.js";
import { DiskWatch } from "./disk-trouble.js";
import type { DiskTrouble } from "./disk-trouble.js";
import { stopping } from "./log-errors.js";
import type { Proposals } from "./proposals.js";
import type { ReadBarriers } from "./read-barriers.js";
import type { LogStorage } from "./storage/log-storage.js";
import { Ticker } from "./ticker.js";
import type { PeerTransport, TransportHandler } from "./transport/peer-transport.js";

export type RunnerParts = {
  readonly memberId: string;
  readonly core: RaftCore;
  readonly storage: LogStorage;
  /** Where it writes. */
  readonly directory: string;
  readonly transport: PeerTransport;
  readonly proposals: Proposals;
  readonly reads: ReadBarriers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tickMs: number;
  /** Entries up to this index may be read now. */
  readonly onDelivered: (index: number) => void;
  readonly onLeadership: (view: LeadershipView) => void;
  /** The log has stopped for good: nobody knows what the disk holds, or a bug of ours has shown. */
  readonly onFailure: (failure: unknown) => void;
};

/** While the disk is full, the write that it refused is tried again this often. */
const DISK_FULL_RETRY_MS = 500;

/**
 * A snapshot of ours that cannot be read is read again after this long, and twice as long each time after, up to
 * the second: reading and checking all of it is work, and only a newer one will help. Milliseconds.
 */
const UNREADABLE_MIN_MS = 1_000;
const UNREADABLE_MAX_MS = 60_000;

type Arrived = {
  readonly mark: SnapshotMark;
  readonly data: Uint8Array;
  readonly done: () => void;
  readonly fail: (error: ClusterduckError) => void;
};
type Watcher = { readonly isTrue: () => boolean; readonly resolve: (isTrue: boolean) => void };

/**
 * The one owner of a member's core. Messages, ticks, proposals and finished writes come in; each call into
 * the core is followed by a turn of the loop that does what `ready()` says. No turn waits for anything, so
 * that none sees a state that another has left half done.
 */
export class RaftRunner implements TransportHandler {
  readonly #parts: RunnerParts;
  readonly #ticker: Ticker;
  readonly #abort = new AbortController();
  readonly #heardAtMs = new Map<string, number>();
  #isScheduled = false;
  #isStopped = false;
  #writing: Promise<void> | null = null;
  readonly #disk: DiskWatch;
  #retry = new AbortController();
  #arrived: Arrived[] = [];
  #followed: Membership = NO_MEMBERS;
  #leaderSeenAtMs: number;
  #toldLeaderId: string | null = null;
  #unreadableMs = UNREADABLE_MIN_MS;
  #watchers: Watcher[] = [];

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#disk = new DiskWatch(parts.directory, parts.clock);
    this.#leaderSeenAtMs = parts.clock.monotonicMs();
    parts.transport.start(this);
    this.#ticker = new Ticker({
      clock: parts.clock,
      tickMs: parts.tickMs,
      onTicks: (count) => this.#onTicks(count),
    });
    this.wake();
  }

  /** Not null while the disk has no room for what should be written. */
  get diskFull(): ClusterduckError | null {
    return this.#disk.full;
  }

  /** What is wrong with the disk, in words; null: nothing. */
  get trouble(): DiskTrouble | null {
    return this.#disk.trouble;
  }

  /** Tries what the full disk refused now, and not only in a while. */
  retryDisk(): void {
    if (this.#disk.full !== null) this.#retry.abort();
  }

  /** Milliseconds since a peer was heard; null: never since the start. */
  silentMs(peer: string): number | null {
    const heardAtMs = this.#heardAtMs.get(peer);
    return heardAtMs === undefined ? null : this.#parts.clock.monotonicMs() - heardAtMs;
  }

  /** Milliseconds since a leader was known; 0 while one is. */
  get leaderlessMs(): number {
    return this.#parts.core.leaderId === null ? this.#parts.clock.monotonicMs() - this.#leaderSeenAtMs : 0;
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
  async until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
    if (isTrue()) return true;
    if (this.#isStopped) return false;
    return new Promise((settle) => {
      const cancel = this.#parts.clock.after(timeoutMs, () => watcher.resolve(isTrue()));
      const watcher: Watcher = {
        isTrue,
        resolve: (value) => {
          cancel();
          this.#watchers = this.#watchers.filter((each) => each !== watcher);
          settle(value);
        },
      };
      this.#watchers.push(watcher);
    });
  }

  onMessages(messages: readonly Message[]): void {
    this.#guarded(() => {
      for (const message of messages) this.#step(message);
    });
    this.wake();
  }

  onSnapshot(message: MessageOf<"installSnapshot">, data: Uint8Array): Promise<void> {
    return new Promise((done, fail) => {
      this.#guarded(() => {
        this.#step(message);
        const { core } = this.#parts;
        const { last, membership } = message;
        const isTaken = core.base.index === last.index && core.last.index === last.index;
        if (isTaken && last.index > this.#parts.storage.base.index) {
          this.#arrived.push({ mark: { last, membership }, data, done, fail });
        } else {
          done();
        }
      });
      // Without effect where it is settled.
      if (this.#isStopped) fail(notInstalled());
      this.wake();
    });
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
    this.#heardAtMs.set(message.from, this.#parts.clock.monotonicMs());
    this.#parts.core.step(message);
  }

  #onTicks(count: number): void {
    const { core, clock, proposals, reads } = this.#parts;
    this.#guarded(() => {
      for (let tick = 0; tick < count; tick++) core.tick();
      if (core.leaderId !== null) this.#leaderSeenAtMs = clock.monotonicMs();
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
    for (const watcher of [...this.#watchers]) if (watcher.isTrue()) watcher.resolve(true);
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
    const { clock, proposals, reads, logger, onLeadership } = this.#parts;
    if (view.leaderId !== null) this.#leaderSeenAtMs = clock.monotonicMs();
    const level = view.leaderId === this.#toldLeaderId ? "debug" : "info";
    logger[level]("raft.leadership", { role: view.role, term: view.term, leader: view.leaderId });
    this.#toldLeaderId = view.leaderId;
    if (view.leaderId !== null) {
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

  /** The newest snapshot there is, which may be later than the one that the core knows of. */
  async #sendSnapshot(message: MessageOf<"installSnapshot">): Promise<void> {
    const { core, storage, transport, clock, logger } = this.#parts;
    let isInstalled = false;
    try {
      const snapshot = await storage.loadSnapshot();
      this.#unreadableMs = UNREADABLE_MIN_MS;
      if (snapshot !== null) {
        const { last, data, membership } = snapshot;
        logger.info("raft.snapshot_sending", { to: message.to, index: last.index, bytes: data.length });
        isInstalled = await transport.sendSnapshot({ ...message, last, membership }, data);
        logger.info("raft.snapshot_sent", { to: message.to, index: last.index, isInstalled });
      }
    } catch (error) {
      // A snapshot that cannot be read is no reason to stop: only a restart would need it.
      const againMs = this.#unreadableMs;
      this.#unreadableMs = Math.min(UNREADABLE_MAX_MS, againMs * 2);
      logger.error("raft.snapshot_unreadable", { to: message.to, error, againMs });
      // Only once it is told does the core ask again.
      await clock.sleep(againMs, this.#abort.signal);
    }
    this.#guarded(() => core.reportSnapshot(message.to, isInstalled));
    this.wake();
  }

  async #persist(write: Write): Promise<void> {
    try {
      await this.#untilThereIsRoom(() => this.#store(write));
    } catch (thrown) {
      if (!this.#abort.signal.aborted) this.#fail(thrown);
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

  async #store(write: Write): Promise<void> {
    const { storage } = this.#parts;
    const { snapshot, entries, truncateAfter, hardState } = write;
    if (snapshot !== undefined && storage.base.index < snapshot.last.index) {
      const arrived = this.#arrived.find(({ mark }) => isSame(mark, snapshot));
      if (arrived === undefined) throw new Error(`The data of snapshot ${snapshot.last.index} is not there`);
      await storage.installSnapshot({ last: snapshot.last, data: arrived.data }, snapshot.membership);
    }
    if (entries.length === 0 && truncateAfter === undefined && hardState === undefined) return;
    await storage.append({
      entries,
      ...(truncateAfter === undefined ? {} : { truncateAfter }),
      ...(hardState === undefined ? {} : { hardState }),
    });
  }

  /** A full disk is no failure: nothing was written, and it can be emptied. Until then nothing is acknowledged. */
  async #untilThereIsRoom(work: () => Promise<void>): Promise<void> {
    const { clock, logger } = this.#parts;
    for (;;) {
      try {
        this.#disk.begun();
        await work();
        if (this.#disk.full !== null) logger.info("raft.disk_has_room", {});
        this.#disk.ended();
        return;
      } catch (thrown) {
        if (!(thrown instanceof ClusterduckError && thrown.code === "DISK_FULL")) throw thrown;
        this.#onDiskFull(thrown);
      }
      this.#retry = new AbortController();
      await clock.sleep(DISK_FULL_RETRY_MS, AbortSignal.any([this.#retry.signal, this.#abort.signal]));
      this.#abort.signal.throwIfAborted();
    }
  }

  #onDiskFull(error: ClusterduckError): void {
    const { core, logger, proposals } = this.#parts;
    const isNew = this.#disk.full === null;
    this.#disk.refused(error);
    if (isNew) {
      logger.error("raft.disk_full", { error });
      // Others have room, perhaps.
      this.#guarded(() => core.transferLeadership());
    }
    // A follower's proposals depend on other disks.
    if (core.role === "leader" || core.leaderId === null) {
      proposals.rejectQueued(error);
      proposals.rejectHanded(keptUntilThereIsRoom(error));
    }
    for (const watcher of [...this.#watchers]) if (watcher.isTrue()) watcher.resolve(true);
    this.wake();
  }

  #onInstalled({ last }: SnapshotMark): void {
    const { core, onDelivered, logger } = this.#parts;
    const done = this.#arrived.filter(({ mark }) => mark.last.index <= last.index);
    this.#arrived = this.#arrived.filter(({ mark }) => mark.last.index > last.index);
    for (const arrived of done) arrived.done();
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
    for (const { fail } of this.#arrived.splice(0)) fail(notInstalled());
    for (const watcher of [...this.#watchers]) watcher.resolve(watcher.isTrue());
  }
}

function notInstalled(): ClusterduckError {
  return stopping("Cannot install a snapshot");
}

function keptUntilThereIsRoom(error: ClusterduckError): ClusterduckError {
  const message = `${error.message}; the change is kept, and may happen once there is room`;
  return new ClusterduckError("DISK_FULL", message, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

function isSame(left: SnapshotMark, right: SnapshotMark): boolean {
  return left.last.index === right.last.index && left.last.term === right.last.term;
}
