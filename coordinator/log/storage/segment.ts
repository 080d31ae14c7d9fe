import { join } from "node:path";
import { ClusterduckError, messageOf } from "../../../common/errors.js";
import type { HardState } from "../../raft/hard-state.js";
import type { Disk, DiskFile } from "./disk.js";
import { encodeFrame, frameBytes, readFrames } from "./frame.js";
import type { FrameEnd } from "./frame.js";
import { decodeRecords, encodeRecord } from "./record.js";
import type { LogRecord, SegmentHeader } from "./record.js";
import { createWhole } from "./whole-file.js";

/**
 * Raise it when an older program must not read what this one writes. 1: the log of a coordinator that could
 * only stand alone; it names no members. 2: the log of a member.
 */
export const SEGMENT_VERSION = 2;
/** Room for the header of a segment, in which a member's and a cluster's name stand. */
const HEADER_ROOM_BYTES = 2048;
const ZEROS = Buffer.alloc(1024 * 1024);

export type SegmentName = { readonly file: string; readonly sequence: number; readonly firstIndex: number };

/** A segment's records, and how its bytes end. */
export type SegmentContent = {
  readonly name: SegmentName;
  readonly bytes: number;
  /** Null when not even the header can be read; `end` then says why. */
  readonly header: SegmentHeader | null;
  readonly records: readonly LogRecord[];
  readonly end: FrameEnd;
};

/** An open segment, and where the next frame goes. */
export type Segment = {
  readonly name: SegmentName;
  readonly path: string;
  readonly file: DiskFile;
  readonly bytes: number;
  readonly offset: number;
  readonly chain: number;
};

export function segmentFile(sequence: number, firstIndex: number): string {
  return `${String(sequence).padStart(10, "0")}-${String(firstIndex).padStart(16, "0")}.wal`;
}

export function parseSegmentFile(file: string): SegmentName | null {
  const match = /^(\d{10})-(\d{16})\.wal$/.exec(file);
  if (match === null) return null;
  return { file, sequence: Number(match[1]), firstIndex: Number(match[2]) };
}

type NewSegment = {
  readonly disk: Disk;
  readonly directory: string;
  readonly header: Omit<SegmentHeader, "version">;
  readonly hardState: HardState;
  /** Further records that must be there from the beginning. */
  readonly records: readonly LogRecord[];
  /** Chain value of the segment before; 0 for the first. */
  readonly chain: number;
  readonly bytes: number;
};

/**
 * Makes a segment: filled with zeros and synced, so that later writes need no new space and the place
 * after the last frame is known to be zero. It appears under its name only when it is complete.
 * @throws ClusterduckError DISK_FULL (nothing is left behind) or DISK_FAILED.
 */
export async function createSegment(wish: NewSegment): Promise<Segment> {
  const { disk, directory, header } = wish;
  const name = segmentFile(header.sequence, header.firstIndex);
  const path = join(directory, name);
  const first = encodeFrame(
    [
      encodeRecord({ kind: "header", header: { version: SEGMENT_VERSION, ...header } }),
      encodeRecord({ kind: "hardState", hardState: wish.hardState }),
      ...wish.records.map(encodeRecord),
    ],
    wish.chain,
  );
  await createWhole(disk, path, async (file) => {
    for (let at = 0; at < wish.bytes; at += ZEROS.length) {
      await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, wish.bytes - at)), at);
    }
    await file.write(first.bytes, 0);
  });
  return {
    name: { file: name, sequence: header.sequence, firstIndex: header.firstIndex },
    path,
    file: await disk.open(path, "update"),
    bytes: wish.bytes,
    offset: first.bytes.length,
    chain: first.chain,
  };
}

/** A bit above a second of full load; a new segment of this size costs some 20 ms. */
export const SEGMENT_BYTES = 8 * 1024 * 1024;

/** Size of a segment that must take a frame of `bodyBytes`, `usualBytes` at least. */
export function segmentBytesFor(bodyBytes: number, usualBytes: number): number {
  return Math.max(usualBytes, Math.ceil((frameBytes(bodyBytes) + HEADER_ROOM_BYTES) / 4096) * 4096);
}

/**
 * Reads a segment without judging whether it may end as it does.
 * @throws ClusterduckError VERSION_UNSUPPORTED when a newer version wrote it.
 */
export function readSegment(
  path: string,
  name: SegmentName,
  bytes: Uint8Array,
  chain: number | null,
): SegmentContent {
  // The first frame of the oldest segment follows one that is gone, and says itself which.
  const follows =
    chain ?? (bytes.length >= 16 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(12) : 0);
  const { frames, end } = readFrames(bytes, 0, follows);
  const records: LogRecord[] = [];
  for (const frame of frames) {
    try {
      for (const record of decodeRecords(frame.body)) records.push(record);
    } catch (thrown) {
      throw unsupported(path, frame.offset, messageOf(thrown));
    }
  }
  const first = records[0];
  const header = first?.kind === "header" ? first.header : null;
  if (header !== null && header.version > SEGMENT_VERSION) {
    throw unsupported(path, 0, `format ${header.version}; this version reads up to ${SEGMENT_VERSION}`);
  }
  return { name, bytes: bytes.length, header, records, end };
}

function unsupported(path: string, offset: number, found: string): ClusterduckError {
  return new ClusterduckError(
    "VERSION_UNSUPPORTED",
    `Cannot read log segment "${path}" at offset ${offset}: ${found}`,
    { hint: "A newer version wrote it: start that version again" },
  );
}
