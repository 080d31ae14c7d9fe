import type { DescField, DescMessage, JsonValue, Message, MessageShape } from "@bufbuild/protobuf";
import { isMessage } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { StructSchema, TimestampSchema, timestampDate } from "@bufbuild/protobuf/wkt";
import { enumWord } from "./enums.js";

export type Plain = JsonValue;
export type PlainObject = { [key: string]: Plain };

/**
 * A message as plain data for output: field names in camelCase, enum values as words, 64-bit integers as
 * numbers (as text beyond 2^53), times in ISO 8601, bytes in base64. Every field is there: an absent
 * message, time or optional value is null. Of a `oneof` only the member that is set appears.
 */
export function toPlain<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): PlainObject {
  return plainMessage(desc, message);
}

function plainMessage(desc: DescMessage, message: Message): PlainObject {
  const values = message as unknown as Readonly<Record<string, unknown>>;
  const plain: PlainObject = {};
  for (const field of desc.fields) {
    if (field.oneof === undefined) {
      plain[field.localName] = plainField(field, values[field.localName]);
      continue;
    }
    const chosen = values[field.oneof.localName] as { readonly case?: string; readonly value?: unknown };
    if (chosen.case === field.localName) plain[field.localName] = plainField(field, chosen.value);
  }
  return plain;
}

function plainField(field: DescField, value: unknown): Plain {
  switch (field.fieldKind) {
    case "list":
      return (value as readonly unknown[]).map((item) => plainItem(field, item));
    case "map":
      return Object.fromEntries(
        Object.entries(value as Readonly<Record<string, unknown>>).map(([key, item]) => [
          key,
          plainItem(field, item),
        ]),
      );
    default:
      return value === undefined ? null : plainItem(field, value);
  }
}

function plainItem(field: DescField, value: unknown): Plain {
  if (field.message !== undefined) return plainSubmessage(field.message, value);
  if (field.enum !== undefined) return enumWord(field.enum, value as number);
  return plainScalar(value);
}

function plainSubmessage(desc: DescMessage, value: unknown): Plain {
  if (desc.typeName === TimestampSchema.typeName) return plainTime(value as Timestamp);
  // The runtime holds a Struct as plain JSON already.
  if (desc.typeName === StructSchema.typeName && !isMessage(value)) return value as PlainObject;
  return plainMessage(desc, value as Message);
}

function plainTime(time: Timestamp): Plain {
  const date = timestampDate(time);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function plainScalar(value: unknown): Plain {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  // JSON knows no infinity.
  if (typeof value === "number" && !Number.isFinite(value)) return null;
  return value as string | number | boolean;
}
