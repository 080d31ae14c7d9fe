import { randomUUID } from "node:crypto";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { RaftCore } from "../raft/core.js";
import { NO_PAYLOAD } from "../raft/entry.js";
import { voterIds } from "../raft/membership.js";
import type { MembershipChange } from "../raft/membership.js";
import { CommittedEntries } from "./committed-entries.js";
import { assertReplaceable, compactTo } from "./compaction.js";
import { Contact } from "./contact.js";
import type { DiskWatch } from "./disk-watch.js";
import { LeadershipListeners } from "./leadership-listeners.js";
import { LeadershipTransfer } from "./leadership-transfer.js";
import { failed, stopping } from "./log-errors.js";
import { MembershipChanges } from "./membership-changes.js";
import { Proposals } from "./proposals.js";
import { raftLogStatus } from "./raft-log-status.js";
import type { RaftLogStatus } from "./raft-log-status.js";
import { ReadBarriers } from "./read-barriers.js";
import type { Leadership, LogEntry, LogPosition, LogSnapshot, ReplicatedLog } from "./replicated-log.js";
import { RaftRunner } from "./runner.js";
import { MAX_ENTRY_BYTES } from "./storage/log-change.js";
import type { LogStorage } from "./storage/log-storage.js";
import type { Ticks } from "./timing.js";
import type { PeerTransport } from "./transport/peer-transport.js";

/** What raft adds to the port. */
export interface RaftLog extends ReplicatedLog {
  status(): RaftLogStatus;
}

/** Proposals that have no answer yet. As much as the core holds without a quorum. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** A member that goes waits this long for what it has in flight, once another leads. */
const FAREWELL_MS = 500;

export type RaftLogParts = {
  readonly memberId: string;
  readonly core: RaftCore;
  readonly storage: LogStorage;
  readonly diskWatch: DiskWatch;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ticks: Ticks;
  /** How long a proposal or a read may wait for a leader and a quorum, milliseconds. */
  readonly timeoutMs: number;
};

/** The port over this member's core, from its opening to its end. `openRaftLog` makes it. */
export class LogOverRaft implements RaftLog {
  readonly #parts: RaftLogParts;
  readonly #proposals: Proposals;
  readonly #reads: ReadBarriers;
  readonly #contact: Contact;
  readonly #runner: RaftRunner;
  readonly #changes: MembershipChanges;
  readonly #transfer: LeadershipTransfer;
  readonly #committed: CommittedEntries;
  readonly #listeners: LeadershipListeners;
  /** Entries up to here are committed, and durable here. */
  #delivered: number;
  #failure: unknown = null;
  #isStopping = false;
  #closing: Promise<void> | null = null;

  constructor(parts: RaftLogParts) {
    const { memberId, core, storage, diskWatch, transport, clock, logger, ticks, timeoutMs } = parts;
    this.#parts = parts;
    this.#delivered = storage.base.index;
    this.#listeners = new LeadershipListeners(logger);
    this.#committed = new CommittedEntries({
      commitIndex: () => this.#delivered,
      baseIndex: () => storage.base.index,
      entry: (index) => this.#entry(index),
    });
    const client = `${memberId}/${randomUUID()}`;
    this.#proposals = new Proposals(client, { maxPendingBytes: MAX_PENDING_BYTES, timeoutMs });
    this.#reads = new ReadBarriers(client, timeoutMs);
    this.#contact = new Contact(core, clock);
    this.#runner = new RaftRunner({
      memberId,
      core,
      storage,
      diskWatch,
      transport,
      proposals: this.#proposals,
      reads: this.#reads,
      contact: this.#contact,
      clock,
      logger,
      tickMs: ticks.tickMs,
      onDelivered: (index) => {
        this.#delivered = index;
        this.#committed.advance();
      },
      onLeadership: () => this.#announce(),
      onFailure: (failure) => this.#onFailure(failure),
    });
    const refuseWhenStopped = (action: string): void => this.#refuseWhenStopped(action);
    const shared = { core, runner: this.#runner, refuseWhenStopped };
    this.#changes = new MembershipChanges({ ...shared, clock, timeoutMs });
    this.#transfer = new LeadershipTransfer({ ...shared, electionMs: ticks.electionTicks * ticks.tickMs });
  }

  /** Resolves when the only voter leads; at once for all others. @throws ClusterduckError DISK_FULL, DISK_FAILED. */
  async begun(): Promise<void> {
    const { core, diskWatch, memberId, timeoutMs } = this.#parts;
    const isAlone = (): boolean => voterIds(core.membership).every((id) => id === memberId);
    if (core.membership.length === 0 || !isAlone()) return;
    await this.#runner.until(
      () => diskWatch.full !== null || (core.role === "leader" && this.#delivered === core.last.index),
      timeoutMs,
    );
    const problem = diskWatch.full ?? this.#failure;
    if (problem === null) return;
    this.#isStopping = true;
    await this.#runner.stop();
    throw problem instanceof Error ? problem : failed("Cannot open the log", problem);
  }

  async propose(payload: Uint8Array): Promise<LogPosition> {
    this.#refuseWhenStopped("Cannot propose");
    if (payload.length > MAX_ENTRY_BYTES) {
      throw new ClusterduckError(
        "INVALID_ARGUMENT",
        `Cannot propose ${payload.length} bytes: one entry may have at most ${MAX_ENTRY_BYTES}`,
      );
    }
    const proposal = this.#proposals.add(payload, this.#parts.clock.monotonicMs());
    // Perhaps there is room by now.
    this.#runner.retryDisk();
    this.#runner.wake();
    return proposal;
  }

  entries(afterIndex: number, signal: AbortSignal): AsyncIterable<LogEntry> {
    return this.#committed.read(afterIndex, signal);
  }

  async readBarrier(): Promise<number> {
    this.#refuseWhenStopped("Cannot read what is newest");
    const barrier = this.#reads.add(this.#parts.clock.monotonicMs());
    this.#runner.wake();
    return barrier;
  }

  async loadSnapshot(): Promise<LogSnapshot | null> {
    const snapshot = await this.#parts.storage.loadSnapshot();
    return snapshot === null ? null : { last: snapshot.last, data: snapshot.data };
  }

  async saveSnapshot(snapshot: LogSnapshot): Promise<void> {
    const { core, storage } = this.#parts;
    const { last } = snapshot;
    assertReplaceable(core, last, { newest: storage.base.index, delivered: this.#delivered });
    const { membership } = core.markAt(last.index);
    try {
      await storage.saveSnapshot(snapshot, membership);
    } catch (thrown) {
      if (storage.failure !== null) this.#onFailure(storage.failure);
      throw thrown;
    }
    if (this.#failure !== null) return;
    this.#proposals.settle(core);
    core.compact(compactTo(core, last.index), last);
  }

  leadership(): Leadership {
    const { term, leaderId, role } = this.#parts.core;
    if (this.#failure !== null || this.#isClosed) return { leaderId: null, term, isLeader: false };
    return { leaderId, term, isLeader: role === "leader" };
  }

  onLeadership(callback: (leadership: Leadership) => void): () => void {
    return this.#listeners.add(callback);
  }

  members(): readonly string[] {
    return voterIds(this.#parts.core.membership);
  }

  status(): RaftLogStatus {
    const { core, storage, diskWatch, transport } = this.#parts;
    return raftLogStatus({
      core: core.status(),
      storage,
      contact: this.#contact,
      trouble: diskWatch.trouble,
      links: transport.links(),
      delivered: this.#delivered,
      pendingBytes: this.#proposals.pendingBytes,
    });
  }

  changeMembership(change: MembershipChange): Promise<void> {
    return this.#changes.change(change);
  }

  transferLeadership(to: string | null): Promise<void> {
    return this.#transfer.transfer(to);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  get #isClosed(): boolean {
    return this.#isStopping && this.#parts.core.role !== "leader";
  }

  #entry(index: number): LogEntry | undefined {
    const entry = this.#parts.storage.entry(index);
    if (entry === undefined) return undefined;
    const payload = entry.kind === "command" ? entry.payload : NO_PAYLOAD;
    return { index: entry.index, term: entry.term, payload };
  }

  async #close(): Promise<void> {
    const { transport, storage } = this.#parts;
    this.#isStopping = true;
    this.#proposals.rejectQueued(stopping("Cannot propose"));
    if (this.#failure === null) await this.#leave();
    transport.follow([]);
    await this.#runner.stop();
    this.#proposals.rejectQueued(stopping("Cannot propose"));
    this.#proposals.rejectHanded(stopping("Cannot say whether the proposal happened"));
    this.#reads.rejectAll(stopping("Cannot read what is newest"));
    await transport.close();
    await storage.close();
    this.#announce();
    this.#committed.close(null);
  }

  /** What is in flight gets its answer, if that is soon. */
  async #leave(): Promise<void> {
    await this.#transfer.leave();
    await this.#runner.until(() => this.#proposals.isEmpty, FAREWELL_MS);
  }

  #onFailure(failure: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = failure;
    const error = failed("Cannot propose", failure);
    this.#proposals.rejectQueued(error);
    this.#proposals.rejectHanded(error);
    this.#reads.rejectAll(failed("Cannot read what is newest", failure));
    this.#committed.close(error);
    void this.#runner.stop();
    void this.#parts.transport.close();
    this.#announce();
  }

  #announce(): void {
    this.#listeners.announce(this.leadership());
  }

  #refuseWhenStopped(action: string): void {
    if (this.#failure !== null) throw failed(action, this.#failure);
    if (this.#isStopping) throw stopping(action);
  }
}
