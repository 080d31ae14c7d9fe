import type { Clock } from "../../../common/clock.js";
import { ClusterduckError, messageOf } from "../../../common/errors.js";
import type { Logger } from "../../../common/logger.js";
import type { HardState } from "../../raft/hard-state.js";
import { isDiskFull } from "./disk.js";
import type { Disk } from "./disk.js";
import type { FailStop } from "./fail-stop.js";
import { encodeFrame, frameBytes } from "./frame.js";
import { encodeRecord } from "./record.js";
import type { LogRecord } from "./record.js";
import { prune } from "./retention.js";
import { createSegment, segmentBytesFor } from "./segment.js";
import type { Segment, SegmentName } from "./segment.js";

/** A sync that takes longer is worth a line. */
const SLOW_SYNC_MS = 500;

type SegmentWriterParts = {
  readonly directory: string;
  readonly memberId: string;
  readonly clusterId: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly failStop: FailStop;
  /** Usual size of a segment. */
  readonly segmentBytes: number;
  /** Left free when a segment is made. */
  readonly reserveBytes: number;
};

/** What a new segment begins with: by it the log can be read without the segments before. */
type SegmentStart = { readonly hardState: HardState; readonly firstIndex: number };

/** The end of the write-ahead log, where frames are written, and the segments that it consists of. */
export class SegmentWriter {
  readonly #parts: SegmentWriterParts;
  #segment: Segment;
  /** The open one is the last. */
  readonly #segments: SegmentName[];

  constructor(parts: SegmentWriterParts, segment: Segment, segments: readonly SegmentName[]) {
    this.#parts = parts;
    this.#segment = segment;
    this.#segments = [...segments];
  }

  /** Bytes of all segments, most of which may still be zeros. */
  get bytes(): number {
    return (this.#segments.length - 1) * this.#parts.segmentBytes + this.#segment.offset;
  }

  /**
   * Makes records durable as one frame, with one write and one sync.
   * @param start of a new segment, where the open one has no room for them.
   * @throws ClusterduckError DISK_FULL: nothing happened; DISK_FAILED: the outcome is unknown.
   */
  async write(records: readonly LogRecord[], start: SegmentStart): Promise<void> {
    const encoded = records.map(encodeRecord);
    const bodyBytes = encoded.reduce((sum, record) => sum + record.length, 0);
    if (this.#segment.offset + frameBytes(bodyBytes) > this.#segment.bytes)
      await this.#roll(bodyBytes, start);
    const segment = this.#segment;
    const { clock, logger } = this.#parts;
    const frame = encodeFrame(encoded, segment.chain);
    const startedAtMs = clock.monotonicMs();
    await this.#put(segment, frame.bytes);
    const syncMs = clock.monotonicMs() - startedAtMs;
    if (syncMs > SLOW_SYNC_MS) {
      logger.warn("log.sync_slow", { durationMs: Math.round(syncMs), path: segment.path });
    }
    this.#segment = { ...segment, offset: segment.offset + frame.bytes.length, chain: frame.chain };
  }

  /** Lets go of what the newest snapshots replace. */
  async prune(): Promise<void> {
    const { disk, directory, logger } = this.#parts;
    try {
      await prune(disk, directory, this.#segments);
    } catch (thrown) {
      // What should be gone is merely still there; the next snapshot tries again.
      logger.warn("log.prune_failed", { directory, error: messageOf(thrown) });
    }
  }

  close(): Promise<void> {
    return this.#segment.file.close();
  }

  /**
   * Segments have their space from the beginning, so this fails for want of space only where the file
   * system copies on write. The place is made zero again then, or a restart would take it for damage.
   */
  async #put(segment: Segment, bytes: Uint8Array): Promise<void> {
    const { failStop } = this.#parts;
    try {
      await segment.file.writeDurably(bytes, segment.offset);
    } catch (thrown) {
      if (!isDiskFull(thrown)) throw failStop.fail(thrown);
      try {
        await segment.file.write(new Uint8Array(bytes.length), segment.offset);
        await segment.file.sync();
      } catch (second) {
        throw failStop.fail(second);
      }
      throw thrown;
    }
  }

  /** Begins a new segment. @throws ClusterduckError DISK_FULL before anything was written, or DISK_FAILED. */
  async #roll(bodyBytes: number, { hardState, firstIndex }: SegmentStart): Promise<void> {
    const { disk, directory, memberId, clusterId, segmentBytes, failStop } = this.#parts;
    const bytes = segmentBytesFor(bodyBytes, segmentBytes);
    const sequence = this.#segment.name.sequence + 1;
    let next: Segment;
    try {
      await this.#requireSpace(bytes);
      next = await createSegment({
        disk,
        directory,
        header: { memberId, clusterId, sequence, firstIndex },
        hardState,
        records: [],
        chain: this.#segment.chain,
        bytes,
      });
    } catch (thrown) {
      throw failStop.failUnlessFull(thrown);
    }
    const previous = this.#segment;
    this.#segment = next;
    this.#segments.push(next.name);
    // Everything in it is synced: failing to close it loses nothing.
    await previous.file.close().catch(() => undefined);
  }

  async #requireSpace(bytes: number): Promise<void> {
    const { disk, directory, reserveBytes: reserve } = this.#parts;
    const free = await disk.freeBytes(directory);
    if (free >= bytes + reserve) return;
    throw new ClusterduckError(
      "DISK_FULL",
      `Cannot extend the log in "${directory}": ${free} bytes are free, ${bytes + reserve} are needed (${reserve} of them stay free for snapshots)`,
      { hint: "Free space on that file system: changes are accepted again at once" },
    );
  }
}
