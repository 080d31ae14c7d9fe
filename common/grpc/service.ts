import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import type { ServiceDefinition } from "@grpc/grpc-js";
import type { PeerIdentity, PeerRole } from "../tls/identity.js";
import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

/** What a handler knows of the call it serves. */
export type CallContext = {
  /** Aborts when the caller goes away, the call is answered, or the server stops. */
  readonly signal: AbortSignal;
  /** The caller, for the record: its address, with its name before it when a certificate tells that. */
  readonly peer: string;
  /** Who the caller's certificate says it is; null without TLS. */
  readonly identity: PeerIdentity | null;
};

export type CallOptions = {
  readonly signal?: AbortSignal;
  /** The whole call, milliseconds; for streams leave it out. */
  readonly timeoutMs?: number;
};

type Input<M extends DescMethod> = MessageShape<M["input"]>;
type Output<M extends DescMethod> = MessageShape<M["output"]>;
type InputInit<M extends DescMethod> = MessageInitShape<M["input"]>;
type OutputInit<M extends DescMethod> = MessageInitShape<M["output"]>;

type Handler<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: Input<M>, context: CallContext) => Promise<OutputInit<M>>
  : M["methodKind"] extends "server_streaming"
    ? (request: Input<M>, context: CallContext) => AsyncIterable<OutputInit<M>>
    : M["methodKind"] extends "bidi_streaming"
      ? (requests: AsyncIterable<Input<M>>, context: CallContext) => AsyncIterable<OutputInit<M>>
      : never;

type Caller<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: InputInit<M>, options?: CallOptions) => Promise<Output<M>>
  : M["methodKind"] extends "server_streaming"
    ? (request: InputInit<M>, options?: CallOptions) => AsyncIterable<Output<M>>
    : M["methodKind"] extends "bidi_streaming"
      ? (requests: AsyncIterable<InputInit<M>>, options?: CallOptions) => AsyncIterable<Output<M>>
      : never;

/**
 * One function per method, named as in the descriptor (`getStatus`). A thrown ClusterduckError reaches
 * the caller as it is. A stream's next message is asked for only when the last one has left, so a slow
 * reader slows its writer down; a stream must end soon after `context.signal` aborts.
 */
export type ServiceHandlers<S extends DescService> = {
  readonly [K in keyof S["method"]]: Handler<S["method"][K]>;
};

/** The same methods from the caller's side. They throw ClusterduckError, with the server's code, message and hint. */
export type ServiceClient<S extends DescService> = {
  readonly [K in keyof S["method"]]: Caller<S["method"][K]>;
};

/** A service with its handlers, as `createGrpcServer` takes them. */
export type BoundService = {
  readonly desc: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
  /** Whose certificates may call it, where there is TLS. */
  readonly callers: readonly PeerRole[];
  /** Methods, as the handlers are named, that the holder of the server's own certificate may call too. */
  readonly forSelf: readonly string[];
};

/**
 * @param callers Whose certificates may call it; nobody's unless they are named.
 * @param forSelf Methods that the holder of the server's own certificate may call whatever its role.
 */
export function bindService<S extends DescService>(
  desc: S,
  handlers: ServiceHandlers<S>,
  callers: readonly PeerRole[] = [],
  forSelf: readonly (keyof S["method"] & string)[] = [],
): BoundService {
  return { desc, handlers, callers, forSelf };
}

/**
 * What grpc-js wants to know of a service. Messages pass as bytes: they are decoded where a malformed one
 * can be answered with words, not inside grpc-js, which says only that it failed.
 */
export function grpcServiceDefinition(desc: DescService): ServiceDefinition {
  return Object.fromEntries(
    desc.methods.map((method) => [
      method.localName,
      {
        path: methodPath(method),
        requestStream: method.methodKind === "bidi_streaming" || method.methodKind === "client_streaming",
        responseStream: method.methodKind === "bidi_streaming" || method.methodKind === "server_streaming",
        requestSerialize: asBuffer,
        requestDeserialize: asBytes,
        responseSerialize: asBuffer,
        responseDeserialize: asBytes,
      },
    ]),
  );
}

export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** grpc-js also prints what it throws; we log it once, as our own event, unless somebody asked for its trace. */
export function quietenGrpc(): void {
  if (process.env["GRPC_VERBOSITY"] === undefined) setLogVerbosity(logVerbosity.NONE);
}

/** Without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function asBytes(buffer: Buffer): Uint8Array {
  return buffer;
}
