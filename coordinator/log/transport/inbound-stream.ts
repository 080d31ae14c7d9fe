import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallContext } from "../../../common/grpc/service.js";
import { invalid } from "../../../common/wire/values.js";
import type { ExchangeRequest, ExchangeResponseSchema } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { Message } from "../../raft/message.js";
import { admit, refuseRemoved } from "./admission.js";
import type { IsRemoved, OwnName } from "./admission.js";
import { decodeEnvelope, encodeEnvelope } from "./codec.js";
import type { Received } from "./codec.js";
import { SendQueue } from "./send-queue.js";

type Response = MessageInitShape<typeof ExchangeResponseSchema>;

export type InboundOptions = {
  readonly own: OwnName;
  readonly isRemoved: IsRemoved;
  readonly context: CallContext;
  readonly onMessages: (messages: readonly Message[]) => void;
  /** Messages of these kinds were left out, as this version does not know them. */
  readonly onUnknown: (peer: string, kinds: readonly number[]) => void;
};

/**
 * A stream that a peer has opened to this member. Answers go back over it as long as this member has no
 * stream of its own to that peer, as one that was only just added: it does not know any address yet.
 */
export class InboundStream {
  readonly peer: string;
  readonly #options: InboundOptions;
  readonly #requests: AsyncIterator<ExchangeRequest>;
  readonly #queue = new SendQueue();
  readonly #ended = new AbortController();
  #error: Error | null = null;

  private constructor(
    peer: string,
    requests: AsyncIterator<ExchangeRequest>,
    options: InboundOptions,
    first: Received,
  ) {
    this.peer = peer;
    this.#options = options;
    this.#requests = requests;
    this.#take(first);
  }

  /** Reads the first frame, which tells who it is. @throws ClusterduckError when it may not take part. */
  static async accept(
    stream: AsyncIterable<ExchangeRequest>,
    options: InboundOptions,
  ): Promise<InboundStream | null> {
    const requests = stream[Symbol.asyncIterator]();
    const next = await requests.next();
    if (next.done === true) return null;
    const envelope = decodeEnvelope(next.value.envelope);
    admit(options.own, envelope, options.context.identity);
    refuseRemoved(envelope.from, options.isRemoved);
    return new InboundStream(envelope.from, requests, options, envelope);
  }

  get dropped(): number {
    return this.#queue.dropped;
  }

  /** Returns false when the message was thrown away. */
  send(message: Message): boolean {
    return this.#queue.push(message);
  }

  /** Another stream of the same peer has taken its place. */
  end(): void {
    this.#ended.abort();
  }

  /** Ends it with the words for one that was removed, also where it has nothing to say. Does nothing for others. */
  endIfRemoved(): void {
    try {
      refuseRemoved(this.peer, this.#options.isRemoved);
    } catch (thrown) {
      this.#error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.#ended.abort();
    }
  }

  /** @throws ClusterduckError for what the peer sends and should not. */
  async *answers(): AsyncGenerator<Response> {
    const { own, context } = this.#options;
    const signal = AbortSignal.any([context.signal, this.#ended.signal]);
    void this.#receive();
    const { memberId: from, ...tier } = own;
    const envelope = { ...tier, from, to: this.peer };
    // The first one tells the peer that it is let in, and by whom.
    yield { envelope: encodeEnvelope({ ...envelope, messages: [] }) };
    for (;;) {
      await this.#queue.wait(signal);
      if (signal.aborted) break;
      yield { envelope: encodeEnvelope({ ...envelope, messages: this.#queue.take() }) };
    }
    if (this.#error !== null) throw this.#error;
  }

  #take({ messages, unknownKinds }: Received): void {
    const { onMessages, onUnknown } = this.#options;
    if (messages.length > 0) onMessages(messages);
    if (unknownKinds.length > 0) onUnknown(this.peer, unknownKinds);
  }

  async #receive(): Promise<void> {
    const { own, isRemoved, context } = this.#options;
    try {
      for (;;) {
        const next = await this.#requests.next();
        if (next.done === true || this.#ended.signal.aborted) break;
        const envelope = decodeEnvelope(next.value.envelope);
        admit(own, envelope, context.identity);
        if (envelope.from !== this.peer) throw invalid(`"${envelope.from}" on the stream of "${this.peer}"`);
        refuseRemoved(this.peer, isRemoved);
        this.#take(envelope);
      }
    } catch (thrown) {
      if (!context.signal.aborted) this.#error = thrown instanceof Error ? thrown : new Error(String(thrown));
    } finally {
      this.#ended.abort();
    }
  }
}
