import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { ObservationBatchSchema } from "../proto/gen/clusterduck/v1/agent_pb.js";
import type { ObservationBatch } from "../proto/gen/clusterduck/v1/agent_pb.js";
import type { ObservationSchema } from "../proto/gen/clusterduck/v1/model_pb.js";
import { toUint64 } from "../common/wire/values.js";

export type WireObservation = MessageInitShape<typeof ObservationSchema>;
/** Parallel lists, one entry for each repeat. */
export type WireRepeats = {
  readonly numbers: number[];
  readonly latencyMs: number[];
  readonly ageMs: number[];
  readonly consecutive: number[];
};

/** The longest length that precedes an observation: a varint of 32 bits. */
const LENGTH_BYTES = 5;
const FIRST_BYTES = 1_024;

/**
 * A batch whose observations are encoded already, as fields that the library passes on as they are. An agent
 * with much to say in full, as after a failure of its network, would make half of all its garbage by reflection.
 */
export function encodeBatch(batch: {
  readonly sequence: number;
  readonly dropped: number;
  readonly observations: readonly WireObservation[];
  readonly repeats: WireRepeats;
}): ObservationBatch {
  const { sequence, dropped, observations, repeats } = batch;
  const message = create(ObservationBatchSchema, {
    sequence: toUint64(sequence),
    dropped: toUint64(dropped),
    ...(repeats.numbers.length === 0 ? {} : { repeats }),
  });
  const { number: no } = ObservationBatchSchema.field.observations;
  const writer = new ObservationWriter();
  message.$unknown = observations.map((each) => ({
    no,
    wireType: WireType.LengthDelimited,
    data: writer.write(each),
  }));
  return message;
}

/** Writes `clusterduck.v1.Observation` (https://protobuf.dev/programming-guides/encoding/); its test knows every field. */
class ObservationWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;

  /** The observation with its length before it. */
  write(observation: WireObservation): Uint8Array {
    this.#at = LENGTH_BYTES;
    this.#pair(1, observation.node?.cluster ?? "", observation.node?.addr ?? "");
    this.#text(2, observation.check ?? "");
    this.#number(3, observation.outcome ?? 0);
    this.#text(4, observation.reason ?? "");
    this.#text(5, observation.detail ?? "");
    this.#double(6, observation.latencyMs ?? 0);
    this.#double(7, observation.ageMs ?? 0);
    this.#number(8, observation.consecutive ?? 0);
    this.#number(9, observation.refusals ?? 0);
    this.#number(10, observation.processExited === true ? 1 : 0);
    for (const [name, value] of Object.entries(observation.attributes ?? {})) this.#pair(11, name, value);
    for (const warning of observation.warnings ?? []) this.#element(12, warning);
    this.#number(13, observation.isDoubt === true ? 1 : 0);
    this.#number(14, observation.number ?? 0);
    const end = this.#at;
    const length = end - LENGTH_BYTES;
    const start = LENGTH_BYTES - varintBytes(length);
    this.#at = start;
    this.#varint(length);
    return Uint8Array.prototype.slice.call(this.#bytes, start, end);
  }

  /** A message whose fields 1 and 2 are texts: a node's reference, an entry of a map. */
  #pair(no: number, first: string, second: string): void {
    this.#tag(no, WireType.LengthDelimited);
    this.#varint(textFieldBytes(first) + textFieldBytes(second));
    this.#text(1, first);
    this.#text(2, second);
  }

  #text(no: number, text: string): void {
    if (text !== "") this.#element(no, text);
  }

  /** A text of a list: unlike a single one it is written when empty, too. */
  #element(no: number, text: string): void {
    const length = Buffer.byteLength(text);
    this.#tag(no, WireType.LengthDelimited);
    this.#varint(length);
    this.#makeRoom(length);
    this.#at += this.#bytes.write(text, this.#at);
  }

  #number(no: number, value: number): void {
    if (value === 0) return;
    this.#tag(no, WireType.Varint);
    this.#varint(value);
  }

  #double(no: number, value: number): void {
    // The library writes -0, which is not the default.
    if (Object.is(value, 0)) return;
    this.#tag(no, WireType.Bit64);
    this.#makeRoom(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  #tag(no: number, wireType: WireType): void {
    this.#varint((no << 3) | wireType);
  }

  /** A whole number from 0 to 2^32 - 1. */
  #varint(value: number): void {
    this.#makeRoom(LENGTH_BYTES);
    let rest = value;
    for (; rest > 127; rest >>>= 7) this.#bytes[this.#at++] = (rest & 127) | 128;
    this.#bytes[this.#at++] = rest;
  }

  #makeRoom(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#at + bytes));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** Bytes of a text with its tag and length; an empty one is left out. */
function textFieldBytes(text: string): number {
  if (text === "") return 0;
  const length = Buffer.byteLength(text);
  return 1 + varintBytes(length) + length;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes += 1;
  return bytes;
}
