/*
 * The two messages of grpc.health.v1.Health/Check, in protobuf's wire format: one text field, one number.
 * Written out because a protobuf runtime would cost an agent more at start-up than these lines.
 */

/** What the service says of itself (HealthCheckResponse.ServingStatus). */
export type ServingStatus = "unknown" | "serving" | "notServing" | "serviceUnknown";

const STATUSES: readonly ServingStatus[] = ["unknown", "serving", "notServing", "serviceUnknown"];
const FIELD_SERVICE = (1 << 3) | 2;
const FIELD_STATUS = (1 << 3) | 0;

export function encodeRequest({ service }: { readonly service: string }): Buffer {
  if (service === "") return Buffer.alloc(0);
  const name = Buffer.from(service);
  return Buffer.concat([Buffer.from([FIELD_SERVICE, ...varint(name.length)]), name]);
}

/** @throws Error for bytes that are no HealthCheckResponse. */
export function decodeResponse(bytes: Buffer): ServingStatus {
  let status = 0;
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    at = tag.end;
    const wireType = tag.value & 7;
    if (tag.value === FIELD_STATUS) {
      const field = readVarint(bytes, at);
      status = field.value;
      at = field.end;
    } else {
      at = skip(bytes, at, wireType);
    }
  }
  const known = STATUSES[status];
  if (known === undefined) throw new Error(`the health service answers with unknown status ${status}`);
  return known;
}

function skip(bytes: Buffer, at: number, wireType: number): number {
  switch (wireType) {
    case 0:
      return readVarint(bytes, at).end;
    case 1:
      return at + 8;
    case 2: {
      const length = readVarint(bytes, at);
      return length.end + length.value;
    }
    case 5:
      return at + 4;
    default:
      throw new Error("the health service answers with something else than a HealthCheckResponse");
  }
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** At most four bytes: enough for tags, lengths and statuses. */
function readVarint(bytes: Buffer, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let index = 0; index < 4; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) break;
    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  throw new Error("the health service answers with something else than a HealthCheckResponse");
}
