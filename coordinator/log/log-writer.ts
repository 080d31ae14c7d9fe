import type { Clock } from "../../common/clock.js";
import type { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { Write } from "../raft/ready.js";
import type { DiskWatch } from "./disk-watch.js";
import type { SnapshotArrivals } from "./snapshot-arrivals.js";
import { isDiskFull } from "./storage/disk.js";
import type { LogStorage } from "./storage/log-storage.js";

/** While the disk is full, the write that it refused is tried again this often. */
const DISK_FULL_RETRY_MS = 500;

type LogWriterParts = {
  readonly storage: LogStorage;
  readonly arrivals: SnapshotArrivals;
  readonly diskWatch: DiskWatch;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The disk has refused a write for want of space; `isFirst`: it took the one before. */
  readonly onDiskFull: (error: ClusterduckError, isFirst: boolean) => void;
  /** Ends the wait for room. */
  readonly signal: AbortSignal;
};

/**
 * Makes durable what the core wants written. A full disk is no failure: nothing was written, and it can be
 * emptied, so the write waits for room, and with it all that it would acknowledge.
 */
export class LogWriter {
  readonly #parts: LogWriterParts;
  #retry = new AbortController();

  constructor(parts: LogWriterParts) {
    this.#parts = parts;
  }

  /** Tries what the full disk refused now, and not only in a while. */
  retry(): void {
    if (this.#parts.diskWatch.full !== null) this.#retry.abort();
  }

  /** One at a time. Rejects with any failure but a full disk, and when the signal ends the wait for room. */
  async write(write: Write): Promise<void> {
    const { diskWatch, clock, logger, signal } = this.#parts;
    for (;;) {
      try {
        await this.#store(write);
        if (diskWatch.full !== null) logger.info("raft.disk_has_room", {});
        diskWatch.ended();
        return;
      } catch (thrown) {
        if (!isDiskFull(thrown)) {
          diskWatch.ended();
          throw thrown;
        }
        this.#refused(thrown);
      }
      this.#retry = new AbortController();
      await clock.sleep(DISK_FULL_RETRY_MS, AbortSignal.any([this.#retry.signal, signal]));
      signal.throwIfAborted();
    }
  }

  async #store(write: Write): Promise<void> {
    const { storage, arrivals, diskWatch } = this.#parts;
    const { snapshot, entries, truncateAfter, hardState } = write;
    if (snapshot !== undefined && storage.base.index < snapshot.last.index) {
      const data = arrivals.dataOf(snapshot);
      await storage.installSnapshot({ last: snapshot.last, data }, snapshot.membership);
    }
    if (entries.length === 0 && truncateAfter === undefined && hardState === undefined) return;
    // A whole snapshot may take its time; this may not.
    diskWatch.begun();
    await storage.append({
      entries,
      ...(truncateAfter === undefined ? {} : { truncateAfter }),
      ...(hardState === undefined ? {} : { hardState }),
    });
  }

  #refused(error: ClusterduckError): void {
    const { diskWatch, logger, onDiskFull } = this.#parts;
    const isFirst = diskWatch.full === null;
    diskWatch.refused(error);
    if (isFirst) logger.error("raft.disk_full", { error });
    onDiskFull(error, isFirst);
  }
}
