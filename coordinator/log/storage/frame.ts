import { crc32 } from "node:zlib";

/*
 * A frame is what one write and one sync make durable: it is wholly there or was never acknowledged.
 * Frames start at multiples of 8 bytes in a file that was filled with zeros (and synced) beforehand:
 *
 *   0  magic            u32     8  crc of the body     u32    16  crc of bytes 0..15   u32
 *   4  bytes, all told  u32    12  the chain so far    u32    20  end of header mark   u32
 *  24  body, zeros up to a multiple of 8, of which the last byte is the end mark
 *
 * The chain is the header crc of the frame before, so a frame that was moved, lost or left over shows.
 * Every 8 bytes of the header and the end of the frame hold something other than zero, which makes a
 * sector that was never written recognisable.
 */

const MAGIC = 0x44_55_43_4b;
const HEADER_END = 0x01_0d_0a_1a;
const FRAME_END = 0xdc;
export const FRAME_HEADER_BYTES = 24;
/** A disk writes a sector wholly or not at all. */
const SECTOR_BYTES = 512;

export type Frame = { readonly offset: number; readonly body: Uint8Array };

/** How the frames of a file end. */
export type FrameEnd =
  /** Zeros from `offset` on. */
  | { readonly kind: "clean"; readonly offset: number; readonly chain: number }
  /** A write was cut short: never acknowledged, safe to cut off. */
  | { readonly kind: "torn"; readonly offset: number; readonly chain: number; readonly found: string }
  /** Bytes that had been synced have changed. */
  | { readonly kind: "corrupt"; readonly offset: number; readonly chain: number; readonly found: string };

export function frameBytes(bodyBytes: number): number {
  return Math.ceil((FRAME_HEADER_BYTES + bodyBytes + 1) / 8) * 8;
}

/** Wraps records into a frame that follows one whose chain value is `chain`. */
export function encodeFrame(
  records: readonly Uint8Array[],
  chain: number,
): { readonly bytes: Uint8Array; readonly chain: number } {
  const bodyBytes = records.reduce((sum, record) => sum + record.length, 0);
  const bytes = Buffer.alloc(frameBytes(bodyBytes));
  let at = FRAME_HEADER_BYTES;
  for (const record of records) {
    bytes.set(record, at);
    at += record.length;
  }
  bytes[bytes.length - 1] = FRAME_END;
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(bytes.length, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(FRAME_HEADER_BYTES)), 8);
  bytes.writeUInt32BE(chain, 12);
  const next = crc32(bytes.subarray(0, 16));
  bytes.writeUInt32BE(next, 16);
  bytes.writeUInt32BE(HEADER_END, 20);
  return { bytes, chain: next };
}

/** Reads frames from `offset` on until they end, one way or another. Bodies still have their padding. */
export function readFrames(
  file: Uint8Array,
  offset: number,
  chain: number,
): { readonly frames: readonly Frame[]; readonly end: FrameEnd } {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const frames: Frame[] = [];
  let at = offset;
  let soFar = chain;
  for (;;) {
    const seen = judge(bytes, at, soFar);
    if (seen.kind !== "frame") {
      return { frames, end: { ...confirm(bytes, at, seen), offset: at, chain: soFar } };
    }
    frames.push({ offset: at, body: bytes.subarray(at + FRAME_HEADER_BYTES, at + seen.length) });
    at += seen.length;
    soFar = seen.chain;
  }
}

type Seen =
  | { readonly kind: "frame"; readonly length: number; readonly chain: number }
  | { readonly kind: "clean" }
  | { readonly kind: "torn" | "corrupt"; readonly found: string };

function judge(bytes: Buffer, at: number, chain: number): Seen {
  const headerEnd = at + FRAME_HEADER_BYTES;
  if (isZero(bytes, at, Math.min(at + 8, bytes.length))) {
    if (isZero(bytes, at, bytes.length)) return { kind: "clean" };
    return { kind: "torn", found: "zeros where a record should begin" };
  }
  if (headerEnd > bytes.length)
    return { kind: "corrupt", found: "a record header beyond the end of the file" };
  if (!isHeader(bytes, at)) {
    if (hasUnwrittenPart(bytes, at, headerEnd)) return { kind: "torn", found: "half of a record header" };
    return { kind: "corrupt", found: "a damaged record header" };
  }
  const length = bytes.readUInt32BE(at + 4);
  if (at + length > bytes.length) {
    return {
      kind: "corrupt",
      found: `a record of ${length} bytes, of which the file has only ${bytes.length - at}`,
    };
  }
  const follows = bytes.readUInt32BE(at + 12);
  if (follows !== chain) {
    return { kind: "corrupt", found: `a record that follows ${hex(follows)}, not ${hex(chain)}` };
  }
  const stored = bytes.readUInt32BE(at + 8);
  const actual = crc32(bytes.subarray(headerEnd, at + length));
  if (stored !== actual) {
    if (hasUnwrittenPart(bytes, headerEnd, at + length)) {
      return { kind: "torn", found: `a record of ${length} bytes that was only partly written` };
    }
    return {
      kind: "corrupt",
      found: `a record of ${length} bytes with checksum ${hex(actual)}, not ${hex(stored)}`,
    };
  }
  return { kind: "frame", length, chain: bytes.readUInt32BE(at + 16) };
}

/** A frame is written only after the one before was synced: whatever has a successor was not torn. */
function confirm(bytes: Buffer, at: number, seen: Exclude<Seen, { kind: "frame" }>): FrameEndKind {
  if (seen.kind !== "torn") return seen;
  for (let next = at + 8; next + FRAME_HEADER_BYTES <= bytes.length; next += 8) {
    if (bytes.readUInt32BE(next) === MAGIC && isHeader(bytes, next)) {
      return { kind: "corrupt", found: `${seen.found}, though another record follows at offset ${next}` };
    }
  }
  return seen;
}

type FrameEndKind =
  | { readonly kind: "clean" }
  | { readonly kind: "torn"; readonly found: string }
  | { readonly kind: "corrupt"; readonly found: string };

function isHeader(bytes: Buffer, at: number): boolean {
  return (
    bytes.readUInt32BE(at) === MAGIC &&
    bytes.readUInt32BE(at + 20) === HEADER_END &&
    bytes.readUInt32BE(at + 16) === crc32(bytes.subarray(at, at + 16)) &&
    bytes.readUInt32BE(at + 4) > FRAME_HEADER_BYTES &&
    bytes.readUInt32BE(at + 4) % 8 === 0
  );
}

/** Whether a sector's share of [from, to) is still as zero as the file was made. */
function hasUnwrittenPart(bytes: Buffer, from: number, to: number): boolean {
  for (let start = from; start < to;) {
    const end = Math.min(to, (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (isZero(bytes, start, end)) return true;
    start = end;
  }
  return false;
}

const ZEROS = Buffer.alloc(4096);

function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += ZEROS.length) {
    const end = Math.min(to, at + ZEROS.length);
    if (bytes.compare(ZEROS, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
