import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../../common/clock.js";
import { bindService } from "../../../common/grpc/service.js";
import type { BoundService, CallContext } from "../../../common/grpc/service.js";
import { ClusterduckError } from "../../../common/errors.js";
import type { Logger } from "../../../common/logger.js";
import type { Random } from "../../../common/random.js";
import type { TlsSource } from "../../../common/tls/source.js";
import { RaftService } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { ExchangeRequest, ExchangeResponseSchema } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { Message, MessageOf } from "../../raft/message.js";
import { OtherIncarnation } from "./admission.js";
import type { IsRemoved, OwnName } from "./admission.js";
import { InboundStream } from "./inbound-stream.js";
import { PeerConnection } from "./peer-connection.js";
import type { Connecting } from "./peer-connection.js";
import type { Peer, PeerLink, PeerTransport, TransportHandler } from "./peer-transport.js";
import { RefusedPeers } from "./refused-peers.js";
import { SnapshotReceiver } from "./snapshot-receiver.js";

export type GrpcTransportOptions = OwnName & {
  /** Null: without TLS, which the server allows on loopback only. */
  readonly tls: TlsSource | null;
  /** `RaftTiming.electionMs` of the log: a connection that is silent for longer is given up. */
  readonly electionMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
};

export type GrpcTransport = PeerTransport & {
  /** For the gRPC server of this member, which other members reach at its address. */
  readonly service: BoundService;
  /** Nothing is taken any more from those that were removed. Before this call nobody was. */
  shutOut(isRemoved: IsRemoved): void;
};

/** Below this a busy host looks like a dead connection. */
const KEEPALIVE_MIN_MS = 250;
/** A member that was removed is still told so. */
const LINGER_MS = 10_000;

/**
 * Members reach each other over gRPC. Each opens a stream to every peer that it knows, and both ends speak on
 * it; of two streams between a pair, each uses its own while that is up.
 */
export function createGrpcTransport(options: GrpcTransportOptions): GrpcTransport {
  return new Transport(options);
}

class Transport implements GrpcTransport {
  readonly service: BoundService;
  readonly #options: GrpcTransportOptions;
  readonly #connecting: Connecting;
  readonly #connections = new Map<string, PeerConnection>();
  readonly #inbound = new Map<string, InboundStream>();
  readonly #receiver: SnapshotReceiver;
  readonly #refused: RefusedPeers;
  /** By peer, what ends the connection to one that is no member any more. */
  readonly #lingering = new Map<string, () => void>();
  readonly #closing = new Set<Promise<void>>();
  /** By peer, how many messages of kinds that this version does not know, and which kinds. */
  readonly #unknown = new Map<string, { count: number; readonly kinds: Set<number> }>();
  #handler: TransportHandler | null = null;
  #isRemoved: IsRemoved = () => false;
  #isClosed = false;

  constructor(options: GrpcTransportOptions) {
    this.#options = options;
    const { memberId, clusterId, incarnation = "" } = options;
    const own = { memberId, clusterId, incarnation };
    this.#refused = new RefusedPeers(options);
    const { tls, clock, random, logger, electionMs } = options;
    const keepaliveMs = Math.max(KEEPALIVE_MIN_MS, electionMs / 2);
    this.#connecting = {
      own,
      tls,
      keepaliveMs,
      clock,
      random,
      logger,
      onMessages: (messages) => this.#handler?.onMessages(messages),
      onUnknown: (peer, kinds) => this.#leaveOut(peer, kinds),
      onUnreachable: (peer) => this.#handler?.onUnreachable(peer),
      onDisconnected: (peer) => this.#handler?.onDisconnected(peer),
    };
    this.#receiver = new SnapshotReceiver({
      own,
      isRemoved: (id) => this.#isRemoved(id),
      clock,
      onSnapshot: async (message, data) => {
        if (this.#handler === null) throw notReady(own.memberId);
        await this.#handler.onSnapshot(message, data);
      },
    });
    this.service = bindService(
      RaftService,
      {
        exchange: (requests, context) => this.#accept(requests, context),
        installSnapshot: (requests, context) => this.#receiver.receive(requests, context),
      },
      ["member"],
    );
  }

  shutOut(isRemoved: IsRemoved): void {
    this.#isRemoved = isRemoved;
  }

  start(handler: TransportHandler): void {
    this.#handler = handler;
  }

  follow(peers: readonly Peer[]): void {
    if (this.#isClosed) return;
    const wanted = new Map(peers.map((peer) => [peer.id, peer]));
    for (const [id, connection] of this.#connections) {
      const peer = wanted.get(id);
      if (peer === undefined) this.#linger(id, connection);
      else if (peer.address !== connection.address) this.#drop(id, connection);
    }
    for (const peer of peers) {
      this.#lingering.get(peer.id)?.();
      this.#lingering.delete(peer.id);
      if (this.#connections.has(peer.id) || peer.address === "") continue;
      this.#connections.set(peer.id, new PeerConnection(this.#connecting, peer));
    }
  }

  send(messages: readonly Message[]): void {
    const overrun = new Set<string>();
    for (const message of messages) {
      if (!this.#send(message)) overrun.add(message.to);
    }
    // Later: whoever sends is in the middle of a turn.
    for (const peer of overrun) setImmediate(() => this.#handler?.onUnreachable(peer));
  }

  async sendSnapshot(message: MessageOf<"installSnapshot">, data: Uint8Array): Promise<boolean> {
    const connection = this.#connections.get(message.to);
    if (connection === undefined) return false;
    const { clusterId, incarnation } = this.#connecting.own;
    return connection.sendSnapshot({
      clusterId,
      ...(incarnation === undefined ? {} : { incarnation }),
      message,
      data,
    });
  }

  links(): readonly PeerLink[] {
    const refused = this.#refused.problems();
    const ids = new Set([...this.#connections.keys(), ...this.#inbound.keys(), ...refused.keys()]);
    return [...ids].sort().map((id) => {
      const connection = this.#connections.get(id);
      const inbound = this.#inbound.get(id);
      return {
        id,
        isConnected: connection?.isConnected === true || inbound !== undefined,
        problem: connection?.problem ?? refused.get(id) ?? null,
        isRefused: connection?.isRefused === true || refused.has(id),
        droppedMessages: (connection?.dropped ?? 0) + (inbound?.dropped ?? 0),
        unknownMessages: this.#unknown.get(id)?.count ?? 0,
      };
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#handler = null;
    for (const cancel of this.#lingering.values()) cancel();
    this.#lingering.clear();
    for (const stream of this.#inbound.values()) stream.end();
    this.#receiver.close();
    for (const [id, connection] of this.#connections) this.#drop(id, connection);
    await Promise.all(this.#closing);
  }

  #send(message: Message): boolean {
    const connection = this.#connections.get(message.to);
    const inbound = this.#inbound.get(message.to);
    if (inbound !== undefined && connection?.isConnected !== true) return inbound.send(message);
    return connection?.send(message) ?? false;
  }

  async *#accept(
    requests: AsyncIterable<ExchangeRequest>,
    context: CallContext,
  ): AsyncGenerator<MessageInitShape<typeof ExchangeResponseSchema>> {
    const { own, onMessages, onUnknown } = this.#connecting;
    if (this.#handler === null) throw notReady(own.memberId);
    const isRemoved = (id: string): boolean => this.#isRemoved(id);
    const accepting = InboundStream.accept(requests, { own, isRemoved, context, onMessages, onUnknown });
    const stream = await accepting.catch((thrown: unknown) => {
      if (thrown instanceof OtherIncarnation) this.#refused.note(thrown);
      throw thrown;
    });
    if (stream === null) return;
    this.#inbound.get(stream.peer)?.end();
    this.#inbound.set(stream.peer, stream);
    this.#connections.get(stream.peer)?.hurry();
    try {
      yield* stream.answers();
    } finally {
      stream.end();
      // Another stream of the same peer may have taken its place.
      if (this.#inbound.get(stream.peer) === stream) {
        this.#inbound.delete(stream.peer);
        this.#handler?.onDisconnected(stream.peer);
      }
    }
  }

  /** Tells of each kind once: a newer peer goes on to send what its version sends. */
  #leaveOut(peer: string, kinds: readonly number[]): void {
    const known = this.#unknown.get(peer) ?? { count: 0, kinds: new Set() };
    this.#unknown.set(peer, known);
    known.count += kinds.length;
    for (const kind of kinds) {
      if (known.kinds.has(kind)) continue;
      known.kinds.add(kind);
      const message = `Messages of kind ${kind} from coordinator "${peer}" are left out: only newer versions know them`;
      this.#options.logger.warn("raft.message_unknown", { peer, kind, message });
    }
  }

  #linger(id: string, connection: PeerConnection): void {
    if (this.#lingering.has(id)) return;
    const cancel = this.#options.clock.after(LINGER_MS, () => {
      this.#lingering.delete(id);
      this.#drop(id, connection);
      // Whoever knows that it votes no more sends nothing that could be refused.
      this.#inbound.get(id)?.endIfRemoved();
    });
    this.#lingering.set(id, cancel);
  }

  #drop(id: string, connection: PeerConnection): void {
    if (this.#connections.get(id) === connection) this.#connections.delete(id);
    const closing = connection.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

function notReady(memberId: string): ClusterduckError {
  return new ClusterduckError("UNREACHABLE", `Coordinator "${memberId}" has not begun yet`);
}
