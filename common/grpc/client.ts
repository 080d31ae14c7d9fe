import { Client, credentials } from "@grpc/grpc-js";
import type { CallOptions as GrpcCallOptions, ClientDuplexStream, ClientReadableStream } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import type { DescMessage, DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ClusterduckError } from "../errors.js";
import type { TlsSource } from "../tls/source.js";
import { PatientChannel } from "./patient-channel.js";
import { noConnectionWithin } from "./unsent.js";
import { explainPlain, explainTls, tlsChannel } from "./tls-channel.js";
import type { CallOptions, ServiceClient } from "./service.js";
import { asBuffer, asBytes, methodPath, quietenGrpc } from "./service.js";
import { writeOne } from "./write-one.js";
import { errorFromStatus } from "./status.js";
import { explainWrongPort } from "./wrong-port.js";

export type GrpcClientOptions = {
  /** Largest message taken, bytes. Default: 16 MiB, as answers list whole clusters. */
  readonly messageBytesMax?: number;
  /** A connection without traffic is asked whether it lives after this long, milliseconds. Default: 10 s. */
  readonly keepaliveMs?: number;
  /** Calls that have waited this long for a connection fail, and the next one begins anew, milliseconds. Default: 5 s. */
  readonly connectMs?: number;
  /** Null or left out: without TLS. */
  readonly tls?: TlsSource | null;
  /** With TLS: the one member that the server may be, by its certificate's name. Left out: any member of the tier. */
  readonly member?: string;
};

export type GrpcClient<S extends DescService> = {
  readonly call: ServiceClient<S>;
  /** SHA-256 of the server's certificate as it was seen last, hexadecimal; empty without TLS, or before any call. */
  serverFingerprint(): string;
  close(): void;
};

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
const KEEPALIVE_MS = 10_000;
/** A handshake between hosts that have much else to do takes a second or two. */
const CONNECT_MS = 5_000;
/** How gRPC fails the calls of a client that is closed before there was a connection. */
const NEVER_CONNECTED = /Channel closed before call started/;

/**
 * A typed client of one service. It connects at the first call; a call to an address where nobody listens
 * fails at once with UNREACHABLE, and trying again is the caller's decision. With TLS, a certificate that one of
 * the two ends does not take is UNAUTHENTICATED, and one of the wrong kind PERMISSION_DENIED.
 * @param address `host:port`, `[v6]:port` or `unix:/path`.
 */
export function createGrpcClient<S extends DescService>(
  desc: S,
  address: string,
  options: GrpcClientOptions = {},
): GrpcClient<S> {
  quietenGrpc();
  const keepaliveMs = options.keepaliveMs ?? KEEPALIVE_MS;
  const tls = options.tls ?? null;
  const connectMs = options.connectMs ?? CONNECT_MS;
  const channel =
    tls === null
      ? null
      : tlsChannel(address, tls, {
          handshakeMs: connectMs,
          ...(options.member === undefined ? {} : { member: options.member }),
        });
  const channelOptions = {
    ...channel?.options,
    "grpc.max_receive_message_length": options.messageBytesMax ?? MESSAGE_BYTES_MAX,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": keepaliveMs,
    // A retry inside gRPC would hide from us what happened, and buffers what a stream writes.
    "grpc.enable_retries": 0,
    // The tier's traffic never goes through a web proxy that the environment names.
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    // Close must end the connection, even when another client has the same address.
    "grpc.use_local_subchannel_pool": 1,
  };
  const make = (): Client =>
    new Client(address, channel?.credentials ?? credentials.createInsecure(), channelOptions);
  const connection = new PatientChannel(make, connectMs);
  const peer: Peer = {
    address,
    errorOf: (thrown) => {
      if (thrown instanceof Error && NEVER_CONNECTED.test(thrown.message)) {
        return new ClusterduckError(
          "UNREACHABLE",
          `Cannot reach ${address}: ${noConnectionWithin(connectMs)}`,
          { cause: thrown },
        );
      }
      const error = explainWrongPort(errorFromStatus(thrown, address), { address, service: desc.typeName });
      return tls === null ? explainPlain(error, address) : explainTls(error, address, tls);
    },
  };
  const callers = desc.methods.map((method) => [method.localName, caller(connection, method, peer)]);
  return {
    call: Object.fromEntries(callers) as ServiceClient<S>,
    serverFingerprint: () => channel?.serverFingerprint() ?? "",
    close: () => connection.close(),
  };
}

type Bytes = Uint8Array;
type Init = Record<string, unknown>;

type Peer = {
  readonly address: string;
  /** What a call threw, in our words. */
  readonly errorOf: (thrown: unknown) => ClusterduckError;
};

function caller(connection: PatientChannel, method: DescMethod, peer: Peer): unknown {
  const path = methodPath(method);
  switch (method.methodKind) {
    case "unary":
      return (request: Init, options: CallOptions = {}) =>
        callUnary(connection.client(), method, peer, request, options);
    case "server_streaming":
      return (request: Init, options: CallOptions = {}) =>
        answersOf(method, peer, options, () =>
          connection
            .client()
            .makeServerStreamRequest(
              path,
              asBuffer,
              asBytes,
              encode(method.input, request),
              new Metadata(),
              deadlineOf(options),
            ),
        );
    case "bidi_streaming":
      return (requests: AsyncIterable<Init>, options: CallOptions = {}) =>
        answersOf(method, peer, options, () => {
          const call = connection
            .client()
            .makeBidiStreamRequest(path, asBuffer, asBytes, new Metadata(), deadlineOf(options));
          void writeAll(call, method, requests);
          return call;
        });
    case "client_streaming":
      throw new Error(`Method ${method.name}: client streaming is not used here`);
  }
}

function callUnary(
  client: Client,
  method: DescMethod,
  { address, errorOf }: Peer,
  request: Init,
  options: CallOptions,
): Promise<Message> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (isAborted(signal)) {
      reject(cancelled(address, signal));
      return;
    }
    const call = client.makeUnaryRequest<Bytes, Bytes>(
      methodPath(method),
      asBuffer,
      asBytes,
      encode(method.input, request),
      new Metadata(),
      deadlineOf(options),
      (error, answer) => {
        signal?.removeEventListener("abort", cancel);
        if (error !== null) {
          reject(isAborted(signal) ? cancelled(address, signal) : errorOf(error));
          return;
        }
        try {
          resolve(decode(method.output, answer ?? new Uint8Array(), address));
        } catch (thrown) {
          reject(errorOf(thrown));
        }
      },
    );
    const cancel = () => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

/** Reads a stream's answers one by one; leaving the loop cancels the call. */
async function* answersOf(
  method: DescMethod,
  { address, errorOf }: Peer,
  options: CallOptions,
  start: () => ClientReadableStream<Bytes> | ClientDuplexStream<Bytes, Bytes>,
): AsyncGenerator<Message> {
  const { signal } = options;
  if (isAborted(signal)) throw cancelled(address, signal);
  const call = start();
  const cancel = () => call.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    for await (const bytes of call.iterator({ destroyOnReturn: false })) {
      yield decode(method.output, bytes as Bytes, address);
    }
  } catch (thrown) {
    throw isAborted(signal) ? cancelled(address, signal) : errorOf(thrown);
  } finally {
    signal?.removeEventListener("abort", cancel);
    // A call that is cancelled late reports an error that nobody waits for any more.
    call.on("error", () => undefined);
    call.cancel();
  }
}

/** Writes requests one at a time, so that the peer's pace is ours. A failure of `requests` ends the call. */
async function writeAll(
  call: ClientDuplexStream<Bytes, Bytes>,
  method: DescMethod,
  requests: AsyncIterable<Init>,
): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  const ended = new AbortController();
  const end = () => {
    ended.abort();
    // The writer waits for its own next message; when the call is over, it must not wait for ever.
    void iterator.return?.().catch(() => undefined);
  };
  call.once("status", end);
  call.once("close", end);
  try {
    for (;;) {
      const next = await iterator.next();
      if (ended.signal.aborted) return;
      if (next.done === true) break;
      await writeOne(call, encode(method.input, next.value), ended.signal);
    }
    call.end();
  } catch (thrown) {
    call.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
}

/** A function, as the compiler takes the answer of a first look for that of every later one. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function cancelled(address: string, signal: AbortSignal | undefined): ClusterduckError {
  if (signal?.reason instanceof ClusterduckError) return signal.reason;
  return new ClusterduckError("STOPPING", `The call to ${address} was cancelled`, { cause: signal?.reason });
}

function deadlineOf(options: CallOptions): GrpcCallOptions {
  return options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}

function decode(desc: DescMessage, bytes: Bytes, address: string): Message {
  try {
    return fromBinary(desc, bytes);
  } catch (cause) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Cannot read a ${desc.name} from ${address}: the message is malformed`,
      {
        cause,
        hint: "Check that both programs have the same version",
      },
    );
  }
}

function encode(desc: DescMessage, init: Init): Buffer {
  return asBuffer(toBinary(desc, create(desc, init)));
}
