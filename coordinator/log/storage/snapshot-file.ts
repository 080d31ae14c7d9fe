import { join } from "node:path";
import { crc32 } from "node:zlib";
import { ClusterduckError } from "../../../common/errors.js";
import { voterIds } from "../../raft/membership.js";
import type { Membership } from "../../raft/membership.js";
import type { LogPosition, LogSnapshot } from "../replicated-log.js";
import type { Disk } from "./disk.js";
import { createWhole } from "./whole-file.js";

/*
 * A snapshot file: "DUCKSNAP", header length u32, header crc u32, header (JSON), then chunks of
 * length u32, crc u32, bytes; a length of 0 ends it, followed by the crc of all bytes.
 */
const MAGIC = Buffer.from("DUCKSNAP");
const VERSION = 1;
/** Small enough that a damaged place is named closely. */
const CHUNK_BYTES = 1024 * 1024;

export type SnapshotHeader = {
  readonly version: number;
  readonly memberId: string;
  readonly clusterId: string;
  readonly last: LogPosition;
  /** Voting members as of `last`. */
  readonly members: readonly string[];
  /** All members as of `last`; missing in the snapshots of a coordinator that could only stand alone. */
  readonly membership?: Membership;
  readonly bytes: number;
  /** Unix milliseconds, for people. */
  readonly createdAtMs: number;
};

/** What stands in the header for the members. */
export function headerMembers(
  membership: Membership,
): Required<Pick<SnapshotHeader, "members" | "membership">> {
  return { members: voterIds(membership), membership };
}

/** A coordinator alone was its own only voter. */
export function membersOf({ membership, members }: SnapshotHeader): Membership {
  return membership ?? members.map((id) => ({ id, role: "voter", address: "" }));
}

export type SnapshotName = { readonly file: string; readonly last: LogPosition };

export type DecodedSnapshot =
  | { readonly isIntact: true; readonly header: SnapshotHeader; readonly data: Uint8Array }
  | { readonly isIntact: false; readonly offset: number; readonly found: string };

export function snapshotFile(last: LogPosition): string {
  return `snapshot-${String(last.index).padStart(16, "0")}-${last.term}.snap`;
}

export function parseSnapshotFile(file: string): SnapshotName | null {
  const match = /^snapshot-(\d{16})-(\d+)\.snap$/.exec(file);
  if (match === null) return null;
  return { file, last: { index: Number(match[1]), term: Number(match[2]) } };
}

/**
 * Writes a snapshot so that the file either is there and whole, or is not there at all.
 * @throws ClusterduckError DISK_FULL (nothing is left behind) or DISK_FAILED.
 */
export async function writeSnapshotFile(
  disk: Disk,
  path: string,
  header: Omit<SnapshotHeader, "version" | "bytes">,
  data: Uint8Array,
): Promise<void> {
  await createWhole(disk, path, async (file) => {
    let at = 0;
    for (const piece of encode({ version: VERSION, bytes: data.length, ...header }, data)) {
      await file.write(piece, at);
      at += piece.length;
    }
  });
}

/** The bytes of a snapshot file, for whoever keeps them elsewhere. */
export function encodeSnapshot(
  header: Omit<SnapshotHeader, "version" | "bytes">,
  data: Uint8Array,
): Uint8Array {
  return Buffer.concat([...encode({ version: VERSION, bytes: data.length, ...header }, data)]);
}

/** Reads and checks a whole snapshot. @throws ClusterduckError LOG_CORRUPT naming file, offset and what was found. */
export async function readSnapshotFile(
  disk: Disk,
  path: string,
): Promise<LogSnapshot & { readonly header: SnapshotHeader }> {
  const decoded = decodeSnapshot(await disk.read(path));
  if (!decoded.isIntact) throw snapshotCorrupt(path, decoded);
  return { last: decoded.header.last, data: decoded.data, header: decoded.header };
}

export function snapshotCorrupt(
  path: string,
  damage: { readonly offset: number; readonly found: string },
  hint = `Use another snapshot: duck-coordinator snapshot restore FILE`,
): ClusterduckError {
  return new ClusterduckError(
    "LOG_CORRUPT",
    `Snapshot "${path}" is damaged at offset ${damage.offset}: found ${damage.found}`,
    { hint },
  );
}

/** Checks every checksum. Pure. @throws ClusterduckError VERSION_UNSUPPORTED when a newer version wrote it. */
export function decodeSnapshot(file: Uint8Array): DecodedSnapshot {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const damaged = (offset: number, found: string): DecodedSnapshot => ({ isIntact: false, offset, found });
  if (bytes.length < 16 || !bytes.subarray(0, 8).equals(MAGIC)) return damaged(0, "no snapshot header");
  const headerEnd = 16 + bytes.readUInt32BE(8);
  if (headerEnd > bytes.length) return damaged(8, "a header that is longer than the file");
  const headerBytes = bytes.subarray(16, headerEnd);
  if (crc32(headerBytes) !== bytes.readUInt32BE(12)) return damaged(16, "a header with a wrong checksum");
  const header = JSON.parse(headerBytes.toString()) as SnapshotHeader;
  if (header.version > VERSION) {
    throw new ClusterduckError(
      "VERSION_UNSUPPORTED",
      `Cannot read the snapshot: it has format ${header.version}, this version reads up to ${VERSION}`,
      { hint: "A newer version wrote it: start that version again" },
    );
  }
  const chunks: Buffer[] = [];
  let at = headerEnd;
  for (;;) {
    if (at + 8 > bytes.length) return damaged(at, "the end of the file in the middle of the data");
    const length = bytes.readUInt32BE(at);
    const crc = bytes.readUInt32BE(at + 4);
    if (length === 0) {
      const data = Buffer.concat(chunks);
      if (data.length !== header.bytes)
        return damaged(at, `${data.length} bytes of data, not ${header.bytes}`);
      if (crc32(data) !== crc) return damaged(at, "a wrong checksum of the whole");
      if (at + 8 !== bytes.length) return damaged(at + 8, "bytes after the end");
      return { isIntact: true, header, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
    }
    const chunk = bytes.subarray(at + 8, at + 8 + length);
    if (chunk.length < length)
      return damaged(at, `a chunk of ${length} bytes, of which ${chunk.length} are there`);
    if (crc32(chunk) !== crc) return damaged(at, `a chunk of ${length} bytes with a wrong checksum`);
    chunks.push(chunk);
    at += 8 + length;
  }
}

export function listSnapshots(files: readonly string[]): readonly SnapshotName[] {
  return files
    .map(parseSnapshotFile)
    .filter((name) => name !== null)
    .sort((a, b) => a.last.index - b.last.index || a.last.term - b.last.term);
}

export function snapshotPath(directory: string, last: LogPosition): string {
  return join(directory, snapshotFile(last));
}

function* encode(header: SnapshotHeader, data: Uint8Array): Generator<Uint8Array> {
  const text = Buffer.from(JSON.stringify(header));
  const lead = Buffer.alloc(16);
  MAGIC.copy(lead);
  lead.writeUInt32BE(text.length, 8);
  lead.writeUInt32BE(crc32(text), 12);
  yield lead;
  yield text;
  for (let at = 0; at < data.length; at += CHUNK_BYTES) {
    const chunk = data.subarray(at, at + CHUNK_BYTES);
    yield pair(chunk.length, crc32(chunk));
    yield chunk;
  }
  yield pair(0, crc32(data));
}

function pair(length: number, crc: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(crc, 4);
  return bytes;
}
