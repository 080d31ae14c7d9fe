import type { Message } from "../../coordinator/raft/message.js";
import { decodeEnvelopeBytes, encodeEnvelopeBytes } from "../../coordinator/log/transport/codec.js";
import type { PeerTransport, TransportHandler } from "../../coordinator/log/transport/peer-transport.js";

/**
 * A network inside one process: everything goes through the codec, arrives in order and at once,
 * or, where a member is cut off, not at all.
 */
export class MemoryNetwork {
  readonly #handlers = new Map<string, TransportHandler>();
  readonly #cutOff = new Set<string>();

  join(id: string): PeerTransport {
    return {
      start: (handler) => this.#handlers.set(id, handler),
      follow: () => undefined,
      send: (messages) => {
        for (const message of messages) this.#carry(message);
      },
      sendSnapshot: async (message, data) => {
        const { to } = message;
        if (!this.#isLinked(id, to)) return false;
        try {
          await this.#handlers.get(to)?.onSnapshot(message, data);
        } catch {
          return false;
        }
        return this.#isLinked(id, to);
      },
      links: () =>
        [...this.#handlers.keys()]
          .filter((other) => other !== id)
          .sort()
          .map((other) => {
            const isConnected = this.#isLinked(id, other);
            return {
              id: other,
              isConnected,
              problem: isConnected ? null : "cut off",
              isRefused: false,
              droppedMessages: 0,
              unknownMessages: 0,
            };
          }),
      close: () => {
        this.#handlers.delete(id);
        return Promise.resolve();
      },
    };
  }

  /** Nothing reaches or leaves this member. */
  cutOff(id: string): void {
    this.#cutOff.add(id);
  }

  heal(id: string): void {
    this.#cutOff.delete(id);
  }

  #carry(message: Message): void {
    const { from, to } = message;
    const bytes = encodeEnvelopeBytes({ clusterId: "memory", from, to, messages: [message] });
    setImmediate(() => {
      if (!this.#isLinked(from, to)) return;
      this.#handlers.get(to)?.onMessages(decodeEnvelopeBytes(bytes).messages);
    });
  }

  #isLinked(from: string, to: string): boolean {
    return this.#handlers.has(to) && !this.#cutOff.has(from) && !this.#cutOff.has(to);
  }
}
