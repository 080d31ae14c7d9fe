import { randomUUID } from "node:crypto";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { Random } from "../../common/random.js";
import { RAFT_DEFAULTS } from "../raft/config.js";
import type { RaftConfig } from "../raft/config.js";
import { RaftCore } from "../raft/core.js";
import { NO_PAYLOAD } from "../raft/entry.js";
import { voterIds } from "../raft/membership.js";
import type { MembershipChange, MembershipRefusal } from "../raft/membership.js";
import { CommittedEntries } from "./committed-entries.js";
import { failed, outcomeUnknown, stopping } from "./log-errors.js";
import { describeMembershipRefusal, describeTransferRefusal } from "./refusal-words.js";
import type { Leadership, LogEntry, LogPosition, LogSnapshot, ReplicatedLog } from "./replicated-log.js";
import { restoredState } from "./restored-state.js";
import type { Beginning } from "./restored-state.js";
import { Proposals } from "./proposals.js";
import { raftLogStatus } from "./raft-log-status.js";
import type { RaftLogStatus } from "./raft-log-status.js";
import { ReadBarriers } from "./read-barriers.js";
import { RaftRunner } from "./runner.js";
import { realDisk } from "./storage/disk.js";
import type { Disk } from "./storage/disk.js";
import { LogStorage, MAX_ENTRY_BYTES } from "./storage/log-storage.js";
import { RAFT_TIMING_DEFAULTS, ticksOf } from "./timing.js";
import type { RaftTiming, Ticks } from "./timing.js";
import { noTransport } from "./transport/peer-transport.js";
import type { PeerTransport } from "./transport/peer-transport.js";

export type RaftLogOptions = Beginning & {
  /** Data directory, made if there is none. */
  readonly dir: string;
  /** Names the tier: a directory of another one is refused. Empty while it has no name. */
  readonly clusterId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How the members reach each other. Default: not at all, for a tier of one. */
  readonly transport?: PeerTransport;
  readonly timing?: RaftTiming;
  readonly disk?: Disk;
  /** Size of one log segment, of which two or more are on the disk. Default 8 MiB. */
  readonly segmentBytes?: number;
  /** Space that the log leaves free on its file system. Default 32 MiB. */
  readonly reserveBytes?: number;
  /** What the core may hold and send; the defaults fit a local network. */
  readonly limits?: Partial<Pick<RaftConfig, keyof typeof RAFT_DEFAULTS>>;
  /** How long a proposal or a read may wait for a leader and a quorum, milliseconds. Default: 10 s. */
  readonly timeoutMs?: number;
  /** Awaited once there is a log on the disk, before anybody is told anything. The log does not open if it rejects. */
  readonly onStored?: () => Promise<void>;
};

/** What raft adds to the port. */
export interface RaftLog extends ReplicatedLog {
  status(): RaftLogStatus;
}

const TIMEOUT_MS = 10_000;
/** Proposals that have no answer yet. As much as the core holds without a quorum. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** Kept in memory before a snapshot, so that a peer that lags a little does not need all of that. */
const KEPT_ENTRIES = 10_000;
const KEPT_BYTES = 16 * 1024 * 1024;
/** Why the members cannot change for a moment: who wants it to waits until they can. */
const PASSING: ReadonlySet<MembershipRefusal> = new Set([
  "transferring",
  "termNotCommitted",
  "changeInProgress",
]);
/** A member that goes waits this long for what it has in flight, once another leads. */
const FAREWELL_MS = 500;

/**
 * Opens this member's log and takes part in its tier. A member that is the only voter leads when this
 * resolves; others look for a leader then.
 * @throws ClusterduckError as `LogStorage.open`, CONFIG_INVALID for the timing.
 */
export async function openRaftLog(options: RaftLogOptions): Promise<RaftLog> {
  const { memberId, clusterId, clock, logger, disk = realDisk, timing = RAFT_TIMING_DEFAULTS } = options;
  const ticks = ticksOf(timing);
  const storage = await LogStorage.open({
    directory: options.dir,
    memberId,
    clusterId,
    disk,
    clock,
    logger,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
    ...(options.reserveBytes === undefined ? {} : { reserveBytes: options.reserveBytes }),
  });
  try {
    const restored = await restoredState(storage, options);
    await options.onStored?.();
    const { tickMs, ...inTicks } = ticks;
    const config = { ...RAFT_DEFAULTS, ...options.limits, ...inTicks, id: memberId, random: options.random };
    const core = new RaftCore(config, restored);
    const { term, commit } = core;
    const members = voterIds(core.membership);
    const log = new LogOverRaft(options, { core, storage, ticks: { tickMs, ...inTicks } });
    logger.info("log.opened", {
      directory: options.dir,
      term,
      commit,
      snapshot: storage.base.index,
      members,
    });
    await log.begun();
    return log;
  } catch (thrown) {
    await storage.close();
    throw thrown;
  }
}

type Parts = { readonly core: RaftCore; readonly storage: LogStorage; readonly ticks: Ticks };

class LogOverRaft implements RaftLog {
  readonly #options: RaftLogOptions;
  readonly #core: RaftCore;
  readonly #storage: LogStorage;
  readonly #transport: PeerTransport;
  readonly #proposals: Proposals;
  readonly #reads: ReadBarriers;
  readonly #runner: RaftRunner;
  readonly #committed: CommittedEntries;
  readonly #listeners = new Set<(leadership: Leadership) => void>();
  readonly #electionMs: number;
  readonly #timeoutMs: number;
  /** Entries up to here are committed, and durable here. */
  #delivered: number;
  #failure: unknown = null;
  #isStopping = false;
  #closing: Promise<void> | null = null;

  constructor(options: RaftLogOptions, { core, storage, ticks }: Parts) {
    const { clock, logger } = options;
    this.#options = options;
    this.#core = core;
    this.#storage = storage;
    this.#transport = options.transport ?? noTransport;
    this.#electionMs = ticks.electionTicks * ticks.tickMs;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#delivered = storage.base.index;
    this.#committed = new CommittedEntries({
      commitIndex: () => this.#delivered,
      baseIndex: () => storage.base.index,
      entry: (index) => this.#entry(index),
    });
    const client = `${options.memberId}/${randomUUID()}`;
    this.#proposals = new Proposals(client, {
      maxPendingBytes: MAX_PENDING_BYTES,
      timeoutMs: this.#timeoutMs,
    });
    this.#reads = new ReadBarriers(client, this.#timeoutMs);
    this.#runner = new RaftRunner({
      memberId: options.memberId,
      core,
      storage,
      directory: options.dir,
      transport: this.#transport,
      proposals: this.#proposals,
      reads: this.#reads,
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
  }

  /** Resolves when the only voter leads; at once for all others. @throws ClusterduckError DISK_FULL, DISK_FAILED. */
  async begun(): Promise<void> {
    const core = this.#core;
    const isAlone = (): boolean => voterIds(core.membership).every((id) => id === this.#options.memberId);
    if (core.membership.length === 0 || !isAlone()) return;
    await this.#runner.until(
      () => this.#runner.diskFull !== null || (core.role === "leader" && this.#delivered === core.last.index),
      this.#timeoutMs,
    );
    const problem = this.#runner.diskFull ?? this.#failure;
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
    const proposal = this.#proposals.add(payload, this.#options.clock.monotonicMs());
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
    const barrier = this.#reads.add(this.#options.clock.monotonicMs());
    this.#runner.wake();
    return barrier;
  }

  async loadSnapshot(): Promise<LogSnapshot | null> {
    const snapshot = await this.#storage.loadSnapshot();
    return snapshot === null ? null : { last: snapshot.last, data: snapshot.data };
  }

  async saveSnapshot(snapshot: LogSnapshot): Promise<void> {
    const { last } = snapshot;
    const newest = this.#storage.base.index;
    if (last.index <= newest || last.index <= this.#core.base.index) {
      throw new ClusterduckError(
        "CONFLICT",
        `Cannot save a snapshot of index ${last.index}: there is one of index ${newest}`,
      );
    }
    const term = this.#core.termAt(last.index);
    if (last.index > this.#delivered || term !== last.term) {
      const found =
        last.index > this.#delivered ? `only ${this.#delivered} is committed` : `it has term ${term}`;
      throw new ClusterduckError(
        "CONFLICT",
        `Cannot save a snapshot of index ${last.index} and term ${last.term}: in the log, ${found}`,
      );
    }
    const { membership } = this.#core.markAt(last.index);
    try {
      await this.#storage.saveSnapshot(snapshot, membership);
    } catch (thrown) {
      if (this.#storage.failure !== null) this.#onFailure(this.#storage.failure);
      throw thrown;
    }
    if (this.#failure !== null) return;
    this.#proposals.settle(this.#core);
    this.#core.compact(this.#compactTo(last.index), last);
  }

  leadership(): Leadership {
    const { term, leaderId, role } = this.#core;
    if (this.#failure !== null || this.#isClosed) return { leaderId: null, term, isLeader: false };
    return { leaderId, term, isLeader: role === "leader" };
  }

  onLeadership(callback: (leadership: Leadership) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  members(): readonly string[] {
    return voterIds(this.#core.membership);
  }

  status(): RaftLogStatus {
    return raftLogStatus({
      core: this.#core.status(),
      storage: this.#storage,
      runner: this.#runner,
      links: this.#transport.links(),
      delivered: this.#delivered,
      pendingBytes: this.#proposals.pendingBytes,
    });
  }

  async changeMembership(change: MembershipChange): Promise<void> {
    const action = `Cannot ${change.kind} coordinator "${change.id}"`;
    this.#refuseWhenStopped(action);
    const core = this.#core;
    const { index, term } = await this.#takeChange(action, change);
    this.#runner.wake();
    const isDecided = await this.#runner.until(() => core.commit >= index, this.#timeoutMs);
    this.#refuseWhenStopped(action);
    if (!isDecided) throw outcomeUnknown(action, "no majority has it on its disk yet");
    if (core.termAt(index) !== term && core.termAt(index) !== null) {
      throw new ClusterduckError("NOT_LEADER", `${action}: another member has taken over; nothing happened`);
    }
  }

  async transferLeadership(to: string | null): Promise<void> {
    const action = "Cannot hand leadership over";
    this.#refuseWhenStopped(action);
    const core = this.#core;
    const result = core.transferLeadership(to ?? undefined);
    if (!result.isAccepted) throw describeTransferRefusal(action, result.reason, to, core.leaderId);
    this.#runner.wake();
    // The core itself gives up after one election timeout.
    const isDone = await this.#runner.until(
      () => core.role !== "leader" && core.leaderId !== null,
      this.#electionMs * 2,
    );
    this.#refuseWhenStopped(action);
    if (isDone) return;
    throw new ClusterduckError("CONFLICT", `${action}: "${result.to}" did not take it in time`, {
      hint: "Ask again, or name another member",
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /**
   * Only one change is under way at a time; those that come together follow each other.
   * @throws ClusterduckError as `changeMembership`, when nothing of it has happened.
   */
  async #takeChange(action: string, change: MembershipChange): Promise<LogPosition> {
    const core = this.#core;
    const { clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + this.#timeoutMs;
    for (;;) {
      const result = core.proposeMembership(change);
      if (result.isAccepted) return result.position;
      const leftMs = deadlineMs - clock.monotonicMs();
      if (!PASSING.has(result.reason) || leftMs <= 0)
        throw describeMembershipRefusal(action, result.reason, core.leaderId);
      await this.#runner.until(() => this.#mayChange, leftMs);
      this.#refuseWhenStopped(action);
    }
  }

  /** Whether nothing `PASSING` stands in the way of another change. */
  get #mayChange(): boolean {
    const core = this.#core;
    const { membershipIndex, commit, transferringTo } = core.status();
    const isSettled = core.termAt(commit) === core.term && membershipIndex <= commit;
    return core.role !== "leader" || (isSettled && transferringTo === null);
  }

  get #isClosed(): boolean {
    return this.#isStopping && this.#core.role !== "leader";
  }

  #entry(index: number): LogEntry | undefined {
    const entry = this.#storage.entry(index);
    if (entry === undefined) return undefined;
    const payload = entry.kind === "command" ? entry.payload : NO_PAYLOAD;
    return { index: entry.index, term: entry.term, payload };
  }

  #compactTo(index: number): number {
    const core = this.#core;
    const least = Math.max(core.base.index, index - KEPT_ENTRIES);
    let bytes = 0;
    let upTo = index;
    for (; upTo > least; upTo--) {
      bytes += core.entry(upTo)?.payload.length ?? 0;
      if (bytes > KEPT_BYTES) break;
    }
    return upTo;
  }

  async #close(): Promise<void> {
    this.#isStopping = true;
    this.#proposals.rejectQueued(stopping("Cannot propose"));
    if (this.#failure === null) await this.#handOver();
    this.#transport.follow([]);
    await this.#runner.stop();
    this.#proposals.rejectQueued(stopping("Cannot propose"));
    this.#proposals.rejectHanded(stopping("Cannot say whether the proposal happened"));
    this.#reads.rejectAll(stopping("Cannot read what is newest"));
    await this.#transport.close();
    await this.#storage.close();
    this.#announce();
    this.#committed.close(null);
  }

  /** So that the others need not miss this member first. What is in flight gets its answer, if that is soon. */
  async #handOver(): Promise<void> {
    const core = this.#core;
    if (core.role === "leader" && core.transferLeadership().isAccepted) {
      this.#runner.wake();
      await this.#runner.until(() => core.role !== "leader" && core.leaderId !== null, this.#electionMs);
    }
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
    void this.#transport.close();
    this.#announce();
  }

  /** Outside of the runner's turn: what listeners do, and whether they fail, is none of the log's affairs. */
  #announce(): void {
    const leadership = this.leadership();
    for (const listener of this.#listeners) queueMicrotask(() => this.#tell(listener, leadership));
  }

  #tell(listener: (leadership: Leadership) => void, leadership: Leadership): void {
    if (!this.#listeners.has(listener)) return;
    try {
      listener(leadership);
    } catch (error) {
      this.#options.logger.error("raft.listener_failed", { error });
    }
  }

  #refuseWhenStopped(action: string): void {
    if (this.#failure !== null) throw failed(action, this.#failure);
    if (this.#isStopping) throw stopping(action);
  }
}
