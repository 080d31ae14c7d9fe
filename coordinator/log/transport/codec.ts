import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ClusterduckError } from "../../../common/errors.js";
import { fromName, invalid } from "../../../common/wire/values.js";
import { RaftEnvelopeSchema } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { RaftEnvelope } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { Message } from "../../raft/message.js";
import { MAX_ENTRY_BYTES } from "../storage/log-change.js";
import { decodeMessage, unknownKind } from "./decode-message.js";
import { encodeMessage } from "./encode-message.js";

/** Messages of one member to another, in order. */
export type Envelope = {
  /** Empty while the sender does not know it. */
  readonly clusterId: string;
  /** Which beginning of the tier the sender belongs to; empty or left out: the first. */
  readonly incarnation?: string;
  readonly from: string;
  readonly to: string;
  /** All of them from `from` to `to`. */
  readonly messages: readonly Message[];
};

/** An envelope as it arrived. */
export type Received = Envelope & {
  /** Kinds of the messages that this version does not know, and left out. */
  readonly unknownKinds: readonly number[];
};

/** Messages gather in frames of up to this size, so that none waits long behind another. */
export const FRAME_BYTES = 4 * 1024 * 1024;
/** Only a message with one large entry makes a larger frame. Those beyond this are refused by whoever receives them. */
export const MAX_FRAME_BYTES = MAX_ENTRY_BYTES + 64 * 1024;

export function encodeEnvelope(envelope: Envelope): MessageInitShape<typeof RaftEnvelopeSchema> {
  const { clusterId, incarnation = "", from, to, messages } = envelope;
  return { clusterId, incarnation, from, to, messages: messages.map(encodeMessage) };
}

/** @throws ClusterduckError INVALID_ARGUMENT naming what does not fit. */
export function decodeEnvelope(wire: RaftEnvelope | undefined): Received {
  if (wire === undefined) throw invalid("a frame without an envelope");
  const from = fromName(wire.from, "the sender's id");
  const to = fromName(wire.to, "the receiver's id");
  if (from === to) throw invalid(`"${from}" is both its sender and its receiver`);
  const unknownKinds: number[] = [];
  const messages: Message[] = [];
  for (const message of wire.messages) {
    const unknown = unknownKind(message);
    if (unknown === null) messages.push(decodeMessage(message, from, to));
    else unknownKinds.push(unknown);
  }
  return { clusterId: wire.clusterId, incarnation: wire.incarnation, from, to, messages, unknownKinds };
}

/** As bytes, for those who carry envelopes without gRPC. */
export function encodeEnvelopeBytes(envelope: Envelope): Uint8Array {
  return toBinary(RaftEnvelopeSchema, create(RaftEnvelopeSchema, encodeEnvelope(envelope)));
}

/** @throws ClusterduckError INVALID_ARGUMENT naming what does not fit. */
export function decodeEnvelopeBytes(bytes: Uint8Array): Received {
  let wire: RaftEnvelope;
  try {
    wire = fromBinary(RaftEnvelopeSchema, bytes);
  } catch (cause) {
    throw new ClusterduckError("INVALID_ARGUMENT", "Cannot read a raft envelope: the bytes are malformed", {
      cause,
      hint: "Check that both members have the same version",
    });
  }
  return decodeEnvelope(wire);
}
