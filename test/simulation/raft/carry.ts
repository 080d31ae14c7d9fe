import { decodeEnvelopeBytes, encodeEnvelopeBytes } from "../../../coordinator/log/transport/codec.js";
import type { Message } from "../../../coordinator/raft/message.js";

/** Through the bytes of the wire and back, so that nothing that is not in them gets across. */
export function carry(message: Message): Message {
  const { from, to } = message;
  const bytes = encodeEnvelopeBytes({ clusterId: "simulated", from, to, messages: [message] });
  const [carried] = decodeEnvelopeBytes(bytes).messages;
  if (carried === undefined) throw new Error(`A ${message.kind} message did not survive its bytes`);
  return carried;
}
