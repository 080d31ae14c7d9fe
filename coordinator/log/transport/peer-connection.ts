import type { Clock } from "../../../common/clock.js";
import { ClusterduckError, messageOf } from "../../../common/errors.js";
import { createGrpcClient } from "../../../common/grpc/client.js";
import type { GrpcClient } from "../../../common/grpc/client.js";
import type { Logger } from "../../../common/logger.js";
import type { Random } from "../../../common/random.js";
import type { TlsSource } from "../../../common/tls/source.js";
import { RaftService } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { Message } from "../../raft/message.js";
import { admit } from "./admission.js";
import type { OwnName } from "./admission.js";
import { decodeEnvelope, encodeEnvelope, MAX_FRAME_BYTES } from "./codec.js";
import type { Peer } from "./peer-transport.js";
import { SendQueue } from "./send-queue.js";
import { sendSnapshotOnce } from "./snapshot-sender.js";
import type { OutgoingSnapshot } from "./snapshot-sender.js";

/** What all connections of a member have in common. */
export type Connecting = {
  readonly own: OwnName;
  readonly tls: TlsSource | null;
  /** A connection that does not answer for twice as long is given up, milliseconds. */
  readonly keepaliveMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onMessages: (messages: readonly Message[]) => void;
  /** Messages of these kinds were left out, as this version does not know them. */
  readonly onUnknown: (peer: string, kinds: readonly number[]) => void;
  readonly onUnreachable: (peer: string) => void;
  readonly onDisconnected: (peer: string) => void;
};

/** Between two attempts; an attempt costs little, and a peer that is back should not wait. */
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 1_000;
/** Attempts at one snapshot that got no further, before the core is told and looks again. */
const SNAPSHOT_ATTEMPTS = 3;

/** The stream that this member has opened to one peer, and opens again for as long as it is wanted. */
export class PeerConnection {
  readonly #connecting: Connecting;
  readonly #peer: Peer;
  readonly #queue = new SendQueue();
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #hurry = new AbortController();
  #isConnected = false;
  #isRefused = false;
  #problem: string | null = null;

  constructor(connecting: Connecting, peer: Peer) {
    this.#connecting = connecting;
    this.#peer = peer;
    this.#running = this.#run();
  }

  get address(): string {
    return this.#peer.address;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  get problem(): string | null {
    return this.#problem;
  }

  /** Somebody answers there who will have nothing to do with this member, until a person acts. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  get dropped(): number {
    return this.#queue.dropped;
  }

  /** Returns false when the message was thrown away. */
  send(message: Message): boolean {
    return this.#queue.push(message);
  }

  /** The peer has shown that it is there: tries now rather than later. */
  hurry(): void {
    this.#hurry.abort();
  }

  async sendSnapshot(snapshot: OutgoingSnapshot): Promise<boolean> {
    const { signal } = this.#abort;
    const { clock, logger } = this.#connecting;
    for (let attempt = 1; attempt <= SNAPSHOT_ATTEMPTS && !signal.aborted; attempt++) {
      let client: GrpcClient<typeof RaftService> | null = null;
      try {
        // A connection of its own: heartbeats do not wait behind a megabyte.
        client = this.#connect();
        return await sendSnapshotOnce(client.call, snapshot, { signal });
      } catch (thrown) {
        if (signal.aborted) return false;
        const { id } = this.#peer;
        logger.warn("raft.snapshot_interrupted", { to: id, attempt, error: messageOf(thrown) });
      } finally {
        client?.close();
      }
      await clock.sleep(BACKOFF_MAX_MS, signal);
    }
    return false;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** @throws ClusterduckError INVALID_ARGUMENT for an address that is none: members tell each other theirs. */
  #connect(): GrpcClient<typeof RaftService> {
    const { tls, keepaliveMs } = this.#connecting;
    const messageBytesMax = MAX_FRAME_BYTES;
    const { id, address } = this.#peer;
    // What comes back over the stream, and takes our snapshot, is this peer, as it is for those who are called.
    return createGrpcClient(RaftService, address, { tls, keepaliveMs, messageBytesMax, member: id });
  }

  async #run(): Promise<void> {
    const { clock, random, onUnreachable, onDisconnected } = this.#connecting;
    const { signal } = this.#abort;
    let backoffMs = BACKOFF_MIN_MS;
    while (!signal.aborted) {
      const problem = await this.#exchange();
      const wasConnected = this.#isConnected;
      if (wasConnected) backoffMs = BACKOFF_MIN_MS;
      this.#isConnected = false;
      this.#queue.clear();
      if (signal.aborted) return;
      this.#tell(problem);
      if (wasConnected) onDisconnected(this.#peer.id);
      onUnreachable(this.#peer.id);
      this.#hurry = new AbortController();
      await clock.sleep(backoffMs * (0.5 + random() / 2), AbortSignal.any([signal, this.#hurry.signal]));
      backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2);
    }
  }

  /** One stream, until it ends. Returns why it did. */
  async #exchange(): Promise<ClusterduckError> {
    const { own, onMessages, onUnknown } = this.#connecting;
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, ended.signal]);
    let client: GrpcClient<typeof RaftService> | null = null;
    try {
      client = this.#connect();
      for await (const { envelope } of client.call.exchange(this.#frames(signal), { signal })) {
        const { messages, unknownKinds, ...sender } = decodeEnvelope(envelope);
        // Who is there, the certificate has said when the connection was made.
        admit(own, sender, null);
        if (sender.from !== this.#peer.id) throw this.#wrongPeer(sender.from);
        this.#onConnected();
        if (messages.length > 0) onMessages(messages);
        if (unknownKinds.length > 0) onUnknown(sender.from, unknownKinds);
      }
      return new ClusterduckError("UNREACHABLE", `The stream to ${this.#peer.address} was ended`);
    } catch (thrown) {
      if (thrown instanceof ClusterduckError) return thrown;
      return new ClusterduckError("UNREACHABLE", messageOf(thrown), { cause: thrown });
    } finally {
      ended.abort();
      client?.close();
    }
  }

  async *#frames(signal: AbortSignal): AsyncGenerator<{ envelope: ReturnType<typeof encodeEnvelope> }> {
    const { memberId: from, ...tier } = this.#connecting.own;
    const envelope = { ...tier, from, to: this.#peer.id };
    // The first one introduces us.
    yield { envelope: encodeEnvelope({ ...envelope, messages: [] }) };
    for (;;) {
      await this.#queue.wait(signal);
      if (signal.aborted) return;
      yield { envelope: encodeEnvelope({ ...envelope, messages: this.#queue.take() }) };
    }
  }

  #onConnected(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#isRefused = false;
    this.#problem = null;
    this.#connecting.logger.info("raft.peer_connected", { peer: this.#peer.id, address: this.#peer.address });
  }

  /** Once per problem, not once per attempt. */
  #tell(error: ClusterduckError): void {
    this.#isRefused = error.code === "CONFLICT" || error.code === "PERMISSION_DENIED";
    const problem = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    const { id, address } = this.#peer;
    this.#connecting.logger.warn("raft.peer_unreachable", { peer: id, address, problem });
  }

  #wrongPeer(found: string): ClusterduckError {
    const { id, address } = this.#peer;
    return new ClusterduckError("CONFLICT", `${address} belongs to coordinator "${found}", not to "${id}"`, {
      hint: `Correct the address of "${id}" among the members`,
    });
  }
}
