import type { Clock } from "../../../common/clock.js";
import { ClusterduckError } from "../../../common/errors.js";
import type { Logger } from "../../../common/logger.js";
import type { Entry } from "../../raft/entry.js";
import type { HardState } from "../../raft/hard-state.js";
import type { Membership } from "../../raft/membership.js";
import type { LogPosition, LogSnapshot } from "../replicated-log.js";
import type { Disk, DiskLock } from "./disk.js";
import { FailStop } from "./fail-stop.js";
import { assertFollows, recordsOf } from "./log-change.js";
import type { LogChange } from "./log-change.js";
import { recover } from "./recover.js";
import type { Recovered } from "./recover.js";
import type { LogRecord } from "./record.js";
import { SEGMENT_BYTES } from "./segment.js";
import { SegmentWriter } from "./segment-writer.js";
import {
  headerMembers,
  membersOf,
  readSnapshotFile,
  snapshotPath,
  writeSnapshotFile,
} from "./snapshot-file.js";

/** Left free for snapshots, which let old segments go, and for the operator. */
const RESERVE_BYTES = 32 * 1024 * 1024;

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

/**
 * A member's log on disk: a write-ahead log in segments, and snapshots. Entries since the newest snapshot
 * are held in memory too. Whoever appends waits before it acknowledges: what `append` has resolved for
 * survives any crash. Fail-stop: after a failed write or sync nobody knows what is on the disk, so
 * everything later is refused with DISK_FAILED and the process should end.
 */
export class LogStorage {
  readonly #options: LogStorageOptions;
  readonly #lock: DiskLock;
  readonly #failStop: FailStop;
  readonly #writer: SegmentWriter;
  /** Whether a coordinator that could only stand alone wrote it: no entry and no snapshot names the members. */
  readonly isOfLoneMember: boolean;
  #hardState: HardState;
  #base: LogPosition;
  #membership: Membership;
  #entries: Entry[];
  #isClosed = false;
  /** Appends and rolls, one at a time. */
  #appending: Promise<unknown> = Promise.resolve();
  #snapshotting: Promise<unknown> = Promise.resolve();

  private constructor(options: LogStorageOptions, lock: DiskLock, recovered: Recovered) {
    this.#options = options;
    this.#lock = lock;
    const { directory, logger, segmentBytes = SEGMENT_BYTES, reserveBytes = RESERVE_BYTES } = options;
    this.#failStop = new FailStop(directory, logger);
    const parts = { ...options, failStop: this.#failStop, segmentBytes, reserveBytes };
    this.#writer = new SegmentWriter(parts, recovered.segment, recovered.segments);
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
    return this.#writer.bytes;
  }

  get failure(): ClusterduckError | null {
    return this.#failStop.failure;
  }

  /**
   * Makes a change durable with one write and one sync.
   * @throws ClusterduckError DISK_FULL: nothing happened, and a later attempt can succeed. DISK_FAILED: the
   *   outcome is unknown until the log is opened again. INVALID_ARGUMENT: an entry is too large. STOPPING.
   */
  append(change: LogChange): Promise<void> {
    return this.#serially(async () => {
      const { truncateAfter, entries, hardState } = change;
      const end = { baseIndex: this.#base.index, lastIndex: this.last.index, term: this.#hardState.term };
      assertFollows(change, end);
      await this.#write(recordsOf(change));
      if (truncateAfter !== undefined) this.#entries.length = truncateAfter - this.#base.index;
      for (const entry of entries) this.#entries.push(entry);
      if (hardState !== undefined) this.#hardState = hardState;
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

  /** Waits for what was begun, then lets the directory go. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#snapshotting;
    await this.#appending;
    await this.#writer.close();
    await this.#lock.release();
  }

  #afterSnapshots(work: () => Promise<void>): Promise<void> {
    const result = this.#snapshotting.then(work);
    this.#snapshotting = result.catch(() => undefined);
    return result;
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#appending.then(() => {
      this.#failStop.refuseAfterFailure();
      if (this.#isClosed) throw new ClusterduckError("STOPPING", "Cannot append to the log: it is closed");
      return work();
    });
    this.#appending = result.catch(() => undefined);
    return result;
  }

  #write(records: readonly LogRecord[]): Promise<void> {
    return this.#writer.write(records, { hardState: this.#hardState, firstIndex: this.last.index + 1 });
  }

  async #saveSnapshot(snapshot: LogSnapshot, membership: Membership, replacesLog: boolean): Promise<void> {
    this.#failStop.refuseAfterFailure();
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
      throw this.#failStop.failUnlessFull(thrown);
    }
    await this.#serially(async () => {
      const isContinued = !replacesLog && this.termAt(last.index) === last.term;
      if (!isContinued) await this.#write([{ kind: "base", position: last }]);
      this.#entries = isContinued ? this.#entries.slice(last.index - this.#base.index) : [];
      this.#base = last;
      this.#membership = membership;
    });
    await this.#writer.prune();
  }
}
