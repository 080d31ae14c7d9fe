import assert from "node:assert";
import { join } from "node:path";
import type { Clock } from "../../../common/clock.js";
import { ClusterduckError, messageOf } from "../../../common/errors.js";
import type { Logger } from "../../../common/logger.js";
import type { Entry } from "../../raft/entry.js";
import type { HardState } from "../../raft/hard-state.js";
import type { Membership } from "../../raft/membership.js";
import type { LogPosition, LogSnapshot } from "../replicated-log.js";
import type { Disk, DiskLock } from "./disk.js";
import { encodeFrame, frameBytes } from "./frame.js";
import { recover } from "./recover.js";
import type { Recovered } from "./recover.js";
import { encodeRecord } from "./record.js";
import type { LogRecord } from "./record.js";
import { createSegment, SEGMENT_BYTES, segmentBytesFor } from "./segment.js";
import type { NewSegment, Segment, SegmentName } from "./segment.js";
import {
  headerMembers,
  listSnapshots,
  membersOf,
  readSnapshotFile,
  snapshotPath,
  writeSnapshotFile,
} from "./snapshot-file.js";

/** Left free for snapshots, which let old segments go, and for the operator. */
const RESERVE_BYTES = 32 * 1024 * 1024;
/** One entry may not be larger: it is held in memory, sent and written in one piece. */
export const MAX_ENTRY_BYTES = 16 * 1024 * 1024;
/** A damaged newest snapshot can be replaced by the one before and the log after that. */
const SNAPSHOTS_KEPT = 2;
/** A sync that takes longer is worth a line. */
const SLOW_SYNC_MS = 500;

export type LogStorageOptions = {
  readonly directory: string;
  readonly memberId: string;
  /** Empty while it is not known. */
  readonly clusterId: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly segmentBytes?: number;
  readonly reserveBytes?: number;
};

/** What becomes durable together: first the truncation, then the entries, then the hard state. */
export type LogChange = {
  /** Entries after this index are void. */
  readonly truncateAfter?: number;
  /** They follow the last entry, or the truncation, without a hole. */
  readonly entries: readonly Entry[];
  readonly hardState?: HardState;
};

/**
 * A member's log on disk: a write-ahead log in segments, and snapshots. Entries since the newest snapshot
 * are held in memory too. Whoever appends waits before it acknowledges: what `append` has resolved for
 * survives any crash. Fail-stop: after a failed write or sync nobody knows what is on the disk, so
 * everything later is refused with DISK_FAILED and the process should end.
 */
export class LogStorage {
  readonly #options: LogStorageOptions;
  readonly #lock: DiskLock;
  /** Whether a coordinator that could only stand alone wrote it: no entry and no snapshot names the members. */
  readonly isOfLoneMember: boolean;
  #segment: Segment;
  /** Older ones too, oldest first. */
  #segments: SegmentName[];
  #hardState: HardState;
  #base: LogPosition;
  #membership: Membership;
  #entries: Entry[];
  #failure: ClusterduckError | null = null;
  #isClosed = false;
  /** Appends and rolls, one at a time. */
  #appending: Promise<unknown> = Promise.resolve();
  #snapshotting: Promise<unknown> = Promise.resolve();

  private constructor(options: LogStorageOptions, lock: DiskLock, recovered: Recovered) {
    this.#options = options;
    this.#lock = lock;
    this.#segment = recovered.segment;
    this.#segments = [...recovered.segments];
    this.#hardState = recovered.hardState;
    this.#base = recovered.base;
    this.#membership = recovered.membership;
    this.isOfLoneMember = recovered.isOfLoneMember;
    this.#entries = [...recovered.entries];
  }

  /**
   * Opens a directory, making it if there is none, and takes it for this process.
   * @throws ClusterduckError LOG_LOCKED, LOG_CORRUPT, VERSION_UNSUPPORTED, CONFIG_INVALID (it belongs to
   *   another member or cluster), DISK_FULL, DISK_FAILED.
   */
  static async open(options: LogStorageOptions): Promise<LogStorage> {
    const { disk, directory } = options;
    await disk.makeDirectory(directory);
    const lock = await disk.lock(directory);
    try {
      const recovered = await recover({ ...options, segmentBytes: options.segmentBytes ?? SEGMENT_BYTES });
      const storage = new LogStorage(options, lock, recovered);
      // A crash came between a snapshot's file and its mark in the log.
      if (recovered.needsBaseMark) {
        await storage.#serially(() => storage.#write([{ kind: "base", position: recovered.base }]));
      }
      return storage;
    } catch (thrown) {
      await lock.release();
      throw thrown;
    }
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  /** Position that the first entry in memory follows: the newest snapshot's, or 0. */
  get base(): LogPosition {
    return this.#base;
  }

  /** The members as of `base`. */
  get membership(): Membership {
    return this.#membership;
  }

  /** In memory: those after `base`. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get last(): LogPosition {
    return this.#entries.at(-1) ?? this.#base;
  }

  /** Undefined before the newest snapshot and after the end. */
  entry(index: number): Entry | undefined {
    return this.#entries[index - this.#base.index - 1];
  }

  /** Null where the log does not reach; 0 at index 0. */
  termAt(index: number): number | null {
    if (index === this.#base.index) return this.#base.term;
    return this.entry(index)?.term ?? null;
  }

  /** Bytes of all segments, most of which may still be zeros. */
  get bytes(): number {
    const usual = this.#options.segmentBytes ?? SEGMENT_BYTES;
    return (this.#segments.length - 1) * usual + this.#segment.offset;
  }

  get failure(): ClusterduckError | null {
    return this.#failure;
  }

  /**
   * Makes a change durable with one write and one sync.
   * @throws ClusterduckError DISK_FULL: nothing happened, and a later attempt can succeed. DISK_FAILED: the
   *   outcome is unknown until the log is opened again. INVALID_ARGUMENT: an entry is too large. STOPPING.
   */
  append(change: LogChange): Promise<void> {
    return this.#serially(async () => {
      this.#check(change);
      const records: LogRecord[] = [];
      if (change.truncateAfter !== undefined) {
        records.push({ kind: "truncateAfter", index: change.truncateAfter });
      }
      for (const entry of change.entries) records.push({ kind: "entry", entry });
      if (change.hardState !== undefined) records.push({ kind: "hardState", hardState: change.hardState });
      await this.#write(records);
      if (change.truncateAfter !== undefined) this.#entries.length = change.truncateAfter - this.#base.index;
      for (const entry of change.entries) this.#entries.push(entry);
      if (change.hardState !== undefined) this.#hardState = change.hardState;
    });
  }

  /**
   * Makes a snapshot durable, then lets go of what it and the one before replace.
   * @throws ClusterduckError DISK_FULL: nothing happened. CONFLICT: a newer one is there. DISK_FAILED. STOPPING.
   */
  saveSnapshot(snapshot: LogSnapshot, membership: Membership): Promise<void> {
    return this.#afterSnapshots(() => this.#saveSnapshot(snapshot, membership, false));
  }

  /**
   * Makes another member's snapshot durable; it takes the place of the whole log.
   * @throws ClusterduckError as `saveSnapshot`.
   */
  installSnapshot(snapshot: LogSnapshot, membership: Membership): Promise<void> {
    return this.#afterSnapshots(() => this.#saveSnapshot(snapshot, membership, true));
  }

  /** @throws ClusterduckError LOG_CORRUPT naming file and offset. */
  async loadSnapshot(): Promise<(LogSnapshot & { readonly membership: Membership }) | null> {
    if (this.#base.index === 0) return null;
    const { disk, directory } = this.#options;
    const { last, data, header } = await readSnapshotFile(disk, snapshotPath(directory, this.#base));
    return { last, data, membership: membersOf(header) };
  }

  #afterSnapshots(work: () => Promise<void>): Promise<void> {
    const result = this.#snapshotting.then(work);
    this.#snapshotting = result.catch(() => undefined);
    return result;
  }

  /** Waits for what was begun, then lets the directory go. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#snapshotting;
    await this.#appending;
    await this.#segment.file.close();
    await this.#lock.release();
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#appending.then(() => {
      if (this.#failure !== null) throw this.#refusal(this.#failure);
      if (this.#isClosed) throw new ClusterduckError("STOPPING", "Cannot append to the log: it is closed");
      return work();
    });
    this.#appending = result.catch(() => undefined);
    return result;
  }

  #check(change: LogChange): void {
    const { truncateAfter } = change;
    const lastIndex = this.last.index;
    if (truncateAfter !== undefined) {
      assert(truncateAfter >= this.#base.index && truncateAfter <= lastIndex, "truncates beyond the log");
    }
    let expected = (truncateAfter ?? lastIndex) + 1;
    for (const entry of change.entries) {
      assert.equal(entry.index, expected, "entries must follow each other");
      expected++;
      if (entry.payload.length > MAX_ENTRY_BYTES) {
        throw new ClusterduckError(
          "INVALID_ARGUMENT",
          `Cannot append an entry of ${entry.payload.length} bytes: at most ${MAX_ENTRY_BYTES} are allowed`,
        );
      }
    }
    const term = change.hardState?.term ?? this.#hardState.term;
    assert(term >= this.#hardState.term, "the term never goes back");
  }

  async #write(records: readonly LogRecord[]): Promise<void> {
    const encoded = records.map(encodeRecord);
    const bodyBytes = encoded.reduce((sum, record) => sum + record.length, 0);
    if (this.#segment.offset + frameBytes(bodyBytes) > this.#segment.bytes) await this.#roll(bodyBytes);
    const segment = this.#segment;
    const frame = encodeFrame(encoded, segment.chain);
    const startedAtMs = this.#options.clock.monotonicMs();
    await this.#put(segment, frame.bytes);
    const syncMs = this.#options.clock.monotonicMs() - startedAtMs;
    if (syncMs > SLOW_SYNC_MS) {
      this.#options.logger.warn("log.sync_slow", { durationMs: Math.round(syncMs), path: segment.path });
    }
    this.#segment = { ...segment, offset: segment.offset + frame.bytes.length, chain: frame.chain };
  }

  /**
   * Segments have their space from the beginning, so this fails for want of space only where the file
   * system copies on write. The place is made zero again then, or a restart would take it for damage.
   */
  async #put(segment: Segment, bytes: Uint8Array): Promise<void> {
    try {
      await segment.file.writeDurably(bytes, segment.offset);
    } catch (thrown) {
      if (!isDiskFull(thrown)) throw this.#fail(thrown);
      try {
        await segment.file.write(new Uint8Array(bytes.length), segment.offset);
        await segment.file.sync();
      } catch (second) {
        throw this.#fail(second);
      }
      throw thrown;
    }
  }

  /** Begins a new segment. @throws ClusterduckError DISK_FULL before anything was written, or DISK_FAILED. */
  async #roll(bodyBytes: number): Promise<void> {
    const { disk, directory, memberId, clusterId } = this.#options;
    const bytes = segmentBytesFor(bodyBytes, this.#options.segmentBytes ?? SEGMENT_BYTES);
    const sequence = this.#segment.name.sequence + 1;
    const wish: NewSegment = {
      disk,
      directory,
      header: { memberId, clusterId, sequence, firstIndex: this.last.index + 1 },
      hardState: this.#hardState,
      records: [],
      chain: this.#segment.chain,
      bytes,
    };
    let next: Segment;
    try {
      await requireSpace(disk, directory, bytes, this.#options.reserveBytes ?? RESERVE_BYTES);
      next = await createSegment(wish);
    } catch (thrown) {
      if (isDiskFull(thrown)) throw thrown;
      throw this.#fail(thrown);
    }
    const previous = this.#segment;
    this.#segment = next;
    this.#segments.push(next.name);
    // Everything in it is synced: failing to close it loses nothing.
    await previous.file.close().catch(() => undefined);
  }

  async #saveSnapshot(snapshot: LogSnapshot, membership: Membership, replacesLog: boolean): Promise<void> {
    if (this.#failure !== null) throw this.#refusal(this.#failure);
    if (this.#isClosed) throw new ClusterduckError("STOPPING", "Cannot save a snapshot: the log is closed");
    const { disk, directory, memberId, clusterId, clock } = this.#options;
    const { last, data } = snapshot;
    if (last.index <= this.#base.index) {
      const message = `Cannot save a snapshot of index ${last.index}: there is one of index ${this.#base.index}`;
      throw new ClusterduckError("CONFLICT", message);
    }
    const members = headerMembers(membership);
    const header = { memberId, clusterId, last, ...members, createdAtMs: clock.wallMs() };
    try {
      await writeSnapshotFile(disk, snapshotPath(directory, last), header, data);
    } catch (thrown) {
      if (isDiskFull(thrown)) throw thrown;
      throw this.#fail(thrown);
    }
    await this.#serially(async () => {
      const isContinued = !replacesLog && this.termAt(last.index) === last.term;
      if (!isContinued) await this.#write([{ kind: "base", position: last }]);
      this.#entries = isContinued ? this.#entries.slice(last.index - this.#base.index) : [];
      this.#base = last;
      this.#membership = membership;
    });
    await this.#prune();
  }

  /** Removes snapshots but the newest ones, and segments that even the oldest of those replaces. */
  async #prune(): Promise<void> {
    const { disk, directory, logger } = this.#options;
    try {
      const snapshots = listSnapshots(await disk.list(directory));
      const kept = snapshots.slice(-SNAPSHOTS_KEPT);
      const oldest = kept.length < SNAPSHOTS_KEPT ? 0 : (kept[0]?.last.index ?? 0);
      for (const snapshot of snapshots.slice(0, -SNAPSHOTS_KEPT)) {
        await disk.remove(join(directory, snapshot.file));
      }
      // A segment is needed as long as the next one does not begin at or before the first entry needed.
      for (;;) {
        const [first, second] = this.#segments;
        if (first === undefined || second === undefined || second.firstIndex > oldest + 1) break;
        await disk.remove(join(directory, first.file));
        this.#segments.shift();
      }
      await disk.syncDirectory(directory);
    } catch (thrown) {
      // What should be gone is merely still there; the next snapshot tries again.
      logger.warn("log.prune_failed", { directory, error: messageOf(thrown) });
    }
  }

  #fail(thrown: unknown): ClusterduckError {
    const failure = new ClusterduckError("DISK_FAILED", messageOf(thrown), {
      cause: thrown,
      hint: "Mend the disk or free space on it, then start again: nothing that was acknowledged is lost",
    });
    this.#failure ??= failure;
    this.#options.logger.error("log.failed", { directory: this.#options.directory, error: failure });
    return failure;
  }

  #refusal(failure: ClusterduckError): ClusterduckError {
    const message = `Cannot write to the log after an earlier failure: ${failure.message}`;
    return new ClusterduckError("DISK_FAILED", message, {
      cause: failure,
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    });
  }
}

async function requireSpace(disk: Disk, directory: string, bytes: number, reserve: number): Promise<void> {
  const free = await disk.freeBytes(directory);
  if (free >= bytes + reserve) return;
  throw new ClusterduckError(
    "DISK_FULL",
    `Cannot extend the log in "${directory}": ${free} bytes are free, ${bytes + reserve} are needed (${reserve} of them stay free for snapshots)`,
    { hint: "Free space on that file system: changes are accepted again at once" },
  );
}

function isDiskFull(thrown: unknown): boolean {
  return thrown instanceof ClusterduckError && thrown.code === "DISK_FULL";
}
