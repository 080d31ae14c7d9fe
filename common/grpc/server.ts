import type { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import {
  ResponderBuilder,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  ServerListenerBuilder,
} from "@grpc/grpc-js";
import type {
  ServerInterceptor,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedHandleCall,
  sendUnaryData,
} from "@grpc/grpc-js";
import type { DescMessage, DescMethod, Message } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { HealthImplementation } from "grpc-health-check";
import type { ListenConfig } from "../config/model.js";
import { ClusterduckError, messageOf } from "../errors.js";
import type { Logger } from "../logger.js";
import { assertMayListen } from "../tls/demand.js";
import { describeIdentity } from "../tls/identity.js";
import type { PeerRole } from "../tls/identity.js";
import type { TlsSource } from "../tls/source.js";
import { authorise } from "./authorise.js";
import { peerIdentity } from "./peer-identity.js";
import type { BoundService, CallContext } from "./service.js";
import { asBuffer, grpcServiceDefinition, methodPath, quietenGrpc } from "./service.js";
import { RefusalLog } from "./refusals.js";
import { statusFromError } from "./status.js";
import { listenTls } from "./tls-listener.js";
import type { TlsListener } from "./tls-listener.js";
import { writeOne } from "./write-one.js";

export type GrpcServerOptions = {
  readonly listen: ListenConfig;
  readonly logger: Logger;
  readonly services: readonly BoundService[];
  /** Null or left out: none, and then it listens on loopback only. */
  readonly tls?: TlsSource | null;
  /** Largest message taken, bytes. Default: 4 MiB. */
  readonly messageBytesMax?: number;
  /** An idle connection is asked whether it lives after this long, milliseconds. Default: 10 s. */
  readonly keepaliveMs?: number;
};

export type GrpcServer = {
  /** `host:port`, with the port that port 0 became. */
  readonly address: string;
  readonly port: number;
  /** What the standard health service says of all services. True from the start. */
  setServing(isServing: boolean): void;
  /** Ends streams with STOPPING, lets other calls finish for `graceMs`, then cuts them off. */
  close(graceMs?: number): Promise<void>;
};

const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
const KEEPALIVE_MS = 10_000;
const GRACE_MS = 2_000;

/**
 * Starts a gRPC server with a health service beside the given ones. With TLS every caller shows a certificate, and
 * each service takes those of its own callers only; the health service takes all.
 * @throws ClusterduckError LISTEN_FAILED when the address cannot be had, or is beyond loopback without TLS.
 */
export async function createGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { listen, logger, services } = options;
  const tls = options.tls ?? null;
  assertMayListen(listen, tls !== null);
  quietenGrpc();
  const messageBytesMax = options.messageBytesMax ?? MESSAGE_BYTES_MAX;
  const keepaliveMs = options.keepaliveMs ?? KEEPALIVE_MS;
  const server = new Server({
    "grpc.max_receive_message_length": messageBytesMax,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": keepaliveMs,
    "grpc.enable_channelz": 0,
    interceptors:
      tls === null
        ? []
        : [gate(services, { tls, logger, refusalOf: (peer) => listener?.refusalOf(peer) ?? null })],
  });
  let listener: TlsListener | null = null;
  const stopping = new AbortController();
  for (const { desc, handlers } of services) {
    const implementation = desc.methods.map((method) => [
      method.localName,
      serve(method, handlers[method.localName], { logger, stopping: stopping.signal }),
    ]);
    server.addService(
      grpcServiceDefinition(desc),
      Object.fromEntries(implementation) as Record<string, UntypedHandleCall>,
    );
  }
  const names = ["", ...services.map(({ desc }) => desc.typeName)];
  const health = new HealthImplementation(
    Object.fromEntries(names.map((name) => [name, "SERVING" as const])),
  );
  health.addToServer(server);

  if (tls !== null) listener = await startTls(server, { listen, tls, logger });
  const port = listener?.port ?? (await bind(server, listen));
  return {
    address: hostPort(listen.host, port),
    port,
    setServing: (isServing) => {
      for (const name of names) health.setStatus(name, isServing ? "SERVING" : "NOT_SERVING");
    },
    close: async (graceMs = GRACE_MS) => {
      stopping.abort(
        new ClusterduckError("STOPPING", `The server at ${hostPort(listen.host, port)} is stopping`),
      );
      listener?.close();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          server.forceShutdown();
          listener?.cut();
          // Not left to grpc-js: it waits for ever for a session that was just breaking off.
          resolve();
        }, graceMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}

async function startTls(server: Server, options: Parameters<typeof listenTls>[1]): Promise<TlsListener> {
  try {
    return await listenTls(server, options);
  } catch (thrown) {
    const { host, port } = options.listen;
    throw listenError(hostPort(host, port), thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
}

/** Answers whoever may not call before anything of what it sends is read. */
function gate(
  services: readonly BoundService[],
  options: {
    readonly tls: TlsSource;
    readonly logger: Logger;
    readonly refusalOf: (peer: string) => ClusterduckError | null;
  },
): ServerInterceptor {
  const refusalLog = new RefusalLog(options.logger);
  const callers = new Map<string, readonly PeerRole[]>(
    services.map((service) => [service.desc.typeName, service.callers]),
  );
  const forSelf = new Set(
    services.flatMap(({ desc, forSelf: names }) =>
      desc.methods.filter(({ localName }) => names.includes(localName)).map(methodPath),
    ),
  );
  return (method, call) => {
    const service = method.path.split("/")[1] ?? "";
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        const stranger = options.refusalOf(call.getPeer());
        if (stranger !== null) {
          call.sendStatus(statusFromError(stranger));
          return;
        }
        const caller = peerIdentity(call);
        const denied = authorise({
          service,
          callers: callers.get(service) ?? null,
          isForSelf: forSelf.has(method.path),
          caller,
          own: options.tls.material.identity,
        });
        if (denied === null) {
          next(metadata);
          return;
        }
        const from = call.getPeer();
        const certificate = caller === null ? "none of ours" : describeIdentity(caller);
        refusalLog.tell(`${certificate} ${service}`, "tls.denied", {
          from,
          certificate,
          service,
          error: denied,
        });
        call.sendStatus(statusFromError(denied));
      })
      .build();
    const responder = new ResponderBuilder().withStart((next) => next(listener)).build();
    return new ServerInterceptingCall(call, responder);
  };
}

function bind(server: Server, listen: ListenConfig): Promise<number> {
  const address = hostPort(listen.host, listen.port);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(listenError(address, error));
    });
  });
}

function listenError(address: string, cause: Error): ClusterduckError {
  const [why, hint] = /EADDRINUSE/.test(cause.message)
    ? ["the address is in use", "Stop the program that listens there, or configure another port"]
    : /EACCES/.test(cause.message)
      ? ["permission denied", "Ports below 1024 need a privilege; configure a higher one"]
      : /EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN/.test(cause.message)
        ? ["this host does not have that address", "Configure an address of this host"]
        : [messageOf(cause), "Configure another address"];
  return new ClusterduckError("LISTEN_FAILED", `Cannot listen on ${address}: ${why}`, { cause, hint });
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

type ServeOptions = { readonly logger: Logger; readonly stopping: AbortSignal };
type Bytes = Uint8Array;
type Init = Record<string, unknown>;

/** Our handler in the shape that grpc-js calls. */
function serve(method: DescMethod, handler: unknown, options: ServeOptions): UntypedHandleCall {
  switch (method.methodKind) {
    case "unary":
      return (call: ServerUnaryCall<Bytes, Bytes>, callback: sendUnaryData<Bytes>) => {
        const run = handler as (request: Message, context: CallContext) => Promise<Init>;
        const context = contextOf(call);
        // Settled inside: a rejection has become the callback's error.
        void Promise.resolve()
          .then(() => run(decode(method.input, call.request), context))
          .then((answer) => callback(null, encode(method.output, answer)))
          .catch((thrown: unknown) => callback(statusOf(thrown, method, options)));
      };
    case "server_streaming":
      return (call: ServerWritableStream<Bytes, Bytes>) => {
        const run = handler as (request: Message, context: CallContext) => AsyncIterable<Init>;
        void respond(call, method, options, (context) => run(decode(method.input, call.request), context));
      };
    case "bidi_streaming":
      return (call: ServerDuplexStream<Bytes, Bytes>) => {
        const run = handler as (
          requests: AsyncIterable<Message>,
          context: CallContext,
        ) => AsyncIterable<Init>;
        void respond(call, method, options, (context) =>
          run(requestsOf(call, method, context.signal), context),
        );
      };
    case "client_streaming":
      throw new Error(`Method ${method.name}: client streaming is not used here`);
  }
}

type Responding = ServerWritableStream<Bytes, Bytes> | ServerDuplexStream<Bytes, Bytes>;

/** Writes what the handler yields, one message at a time, then the status. Never throws. */
async function respond(
  call: Responding,
  method: DescMethod,
  options: ServeOptions,
  run: (context: CallContext) => AsyncIterable<Init>,
): Promise<void> {
  const context = contextOf(call, options.stopping);
  const { signal } = context;
  const stop = () => fail(call, options.stopping.reason, method, options);
  options.stopping.addEventListener("abort", stop, { once: true });
  try {
    for await (const answer of run(context)) {
      if (signal.aborted) break;
      await writeOne(call, encode(method.output, answer), signal);
    }
    if (!signal.aborted) call.end();
  } catch (thrown) {
    if (!signal.aborted) fail(call, thrown, method, options);
  } finally {
    options.stopping.removeEventListener("abort", stop);
  }
}

/** Ends quietly when the caller goes away: the context's signal tells that. */
async function* requestsOf(
  call: ServerDuplexStream<Bytes, Bytes>,
  method: DescMethod,
  signal: AbortSignal,
): AsyncGenerator<Message> {
  try {
    // Leaving the loop must not destroy the call: a status has to follow.
    for await (const bytes of (call as Readable).iterator({ destroyOnReturn: false })) {
      yield decode(method.input, bytes as Bytes);
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}

function contextOf(call: ServerUnaryCall<Bytes, Bytes> | Responding, stopping?: AbortSignal): CallContext {
  const controller = new AbortController();
  (call as EventEmitter).once("cancelled", () => controller.abort());
  if (call.cancelled) controller.abort();
  const signal = stopping === undefined ? controller.signal : AbortSignal.any([controller.signal, stopping]);
  const identity = peerIdentity(call);
  const address = call.getPeer();
  const peer = identity === null ? address : `${describeIdentity(identity)} at ${address}`;
  return { signal, peer, identity };
}

function fail(call: Responding, thrown: unknown, method: DescMethod, options: ServeOptions): void {
  call.emit("error", statusOf(thrown, method, options));
}

function statusOf(thrown: unknown, method: DescMethod, options: ServeOptions): Error & { code: number } {
  const isExpected = thrown instanceof ClusterduckError;
  if (!isExpected) options.logger.error("grpc.handler_failed", { method: method.name, error: thrown });
  const error = isExpected
    ? thrown
    : new ClusterduckError(
        "COMMAND_FAILED",
        `${method.name} failed inside the server: ${messageOf(thrown)}`,
        {
          hint: "The server's log has the details",
        },
      );
  return Object.assign(new Error(error.message), statusFromError(error));
}

function decode(desc: DescMessage, bytes: Bytes): Message {
  try {
    return fromBinary(desc, bytes);
  } catch (cause) {
    throw new ClusterduckError("INVALID_ARGUMENT", `Cannot read a ${desc.name}: the message is malformed`, {
      cause,
    });
  }
}

function encode(desc: DescMessage, init: Init): Buffer {
  return asBuffer(toBinary(desc, create(desc, init)));
}
