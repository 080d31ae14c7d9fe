import type { Entry, EntryKind } from "../../raft/entry.js";
import type { HardState } from "../../raft/hard-state.js";
import type { LogPosition } from "../replicated-log.js";

/*
 * Records stand one after another in a frame's body: type u8, bytes u32, content. Numbers are big endian,
 * indexes and terms take 8 bytes. A type of 0 is the frame's padding.
 */

/** First record of a segment. */
export type SegmentHeader = {
  readonly version: number;
  readonly memberId: string;
  /** Empty while it is not known. */
  readonly clusterId: string;
  readonly sequence: number;
  /** Index that the next entry would have when the segment was begun. */
  readonly firstIndex: number;
};

export type LogRecord =
  | { readonly kind: "header"; readonly header: SegmentHeader }
  | { readonly kind: "hardState"; readonly hardState: HardState }
  | { readonly kind: "entry"; readonly entry: Entry }
  /** Entries after this index are void. */
  | { readonly kind: "truncateAfter"; readonly index: number }
  /** A snapshot has replaced everything; the next entry follows this position. */
  | { readonly kind: "base"; readonly position: LogPosition };

const TYPES = { header: 1, hardState: 2, entry: 3, truncateAfter: 4, base: 5 } as const;
const ENTRY_KINDS: readonly EntryKind[] = ["command", "noop", "members"];
const RECORD_HEADER_BYTES = 5;
/** What an entry costs beside its payload. */
const ENTRY_OVERHEAD_BYTES = RECORD_HEADER_BYTES + 17;

export function encodeRecord(record: LogRecord): Uint8Array {
  switch (record.kind) {
    case "header":
      return pack(TYPES.header, Buffer.from(JSON.stringify(record.header)));
    case "hardState": {
      const vote = Buffer.from(record.hardState.vote ?? "");
      const content = Buffer.alloc(16 + vote.length);
      writeU64(content, record.hardState.term, 0);
      writeU64(content, record.hardState.commit, 8);
      content.set(vote, 16);
      return pack(TYPES.hardState, content);
    }
    case "entry": {
      const { index, term, kind, payload } = record.entry;
      const bytes = start(TYPES.entry, 17 + payload.length);
      writeU64(bytes, index, RECORD_HEADER_BYTES);
      writeU64(bytes, term, RECORD_HEADER_BYTES + 8);
      bytes[RECORD_HEADER_BYTES + 16] = ENTRY_KINDS.indexOf(kind);
      bytes.set(payload, ENTRY_OVERHEAD_BYTES);
      return bytes;
    }
    case "truncateAfter": {
      const content = Buffer.alloc(8);
      writeU64(content, record.index, 0);
      return pack(TYPES.truncateAfter, content);
    }
    case "base": {
      const content = Buffer.alloc(16);
      writeU64(content, record.position.index, 0);
      writeU64(content, record.position.term, 8);
      return pack(TYPES.base, content);
    }
  }
}

/** Reads a frame's body. @throws Error saying what does not fit: the checksum was right, so a newer version wrote it. */
export function decodeRecords(body: Uint8Array): readonly LogRecord[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const records: LogRecord[] = [];
  // The last byte is the frame's end mark; fewer than a record's header before it are padding.
  let at = 0;
  while (at + RECORD_HEADER_BYTES < bytes.length && bytes[at] !== 0) {
    const type = bytes.readUInt8(at);
    const from = at + RECORD_HEADER_BYTES;
    const to = from + bytes.readUInt32BE(at + 1);
    if (to >= bytes.length) throw new Error(`record type ${type} reaches beyond its frame`);
    records.push(decodeRecord(type, bytes.subarray(from, to)));
    at = to;
  }
  return records;
}

function decodeRecord(type: number, content: Buffer): LogRecord {
  switch (type) {
    case TYPES.header:
      return { kind: "header", header: JSON.parse(content.toString()) as SegmentHeader };
    case TYPES.hardState: {
      const vote = content.toString("utf8", 16);
      return {
        kind: "hardState",
        hardState: {
          term: readU64(content, 0),
          commit: readU64(content, 8),
          vote: vote === "" ? null : vote,
        },
      };
    }
    case TYPES.entry: {
      const kind = ENTRY_KINDS[content.readUInt8(16)];
      if (kind === undefined) throw new Error(`entry kind ${content.readUInt8(16)} is unknown`);
      const payload = new Uint8Array(content.subarray(17));
      return {
        kind: "entry",
        entry: { index: readU64(content, 0), term: readU64(content, 8), kind, payload },
      };
    }
    case TYPES.truncateAfter:
      return { kind: "truncateAfter", index: readU64(content, 0) };
    case TYPES.base:
      return { kind: "base", position: { index: readU64(content, 0), term: readU64(content, 8) } };
    default:
      throw new Error(`record type ${type} is unknown`);
  }
}

function pack(type: number, content: Uint8Array): Uint8Array {
  const bytes = start(type, content.length);
  bytes.set(content, RECORD_HEADER_BYTES);
  return bytes;
}

function start(type: number, contentBytes: number): Buffer {
  const bytes = Buffer.alloc(RECORD_HEADER_BYTES + contentBytes);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt32BE(contentBytes, 1);
  return bytes;
}

function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  bytes.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}
