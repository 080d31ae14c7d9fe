import { gunzipSync, gzipSync } from "node:zlib";

/** Smaller ones gain too little. Bytes. */
const PACKED_FROM_BYTES = 64 * 1024;
/** The first bytes of gzip (RFC 1952), which no command begins with: those are JSON. */
const MAGIC = [0x1f, 0x8b] as const;
/** A command that would unpack to more than this is none of ours. Bytes. */
const UNPACKED_MAX_BYTES = 512 * 1024 * 1024;

/**
 * A command as it is put into the log. Of large ones, which hold whole configurations, a tenth or less is
 * sent to the other coordinators and synced to the disks; a configuration as large as a file may be fits into an entry.
 */
export function packPayload(command: Uint8Array): Uint8Array {
  return command.length < PACKED_FROM_BYTES ? command : gzipSync(command, { level: 1 });
}

/** @throws Error of zlib for what was damaged, which the log's checksums exclude. */
export function unpackPayload(payload: Uint8Array): Uint8Array {
  const isPacked = MAGIC.every((byte, at) => payload[at] === byte);
  return isPacked ? gunzipSync(payload, { maxOutputLength: UNPACKED_MAX_BYTES }) : payload;
}
