import { createGrpcClient } from "../common/grpc/client.js";
import type { GrpcClient } from "../common/grpc/client.js";
import type { CallOptions, ServiceClient } from "../common/grpc/service.js";
import { isUnsent } from "../common/grpc/unsent.js";
import { ClusterduckError } from "../common/errors.js";
import { ControlService } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { Connection } from "./connection.js";

export type Control = ServiceClient<typeof ControlService>;

export type TierClient = {
  readonly control: Control;
  /** The coordinator that is asked now. */
  readonly server: () => string;
  readonly close: () => void;
};

type Init = Record<string, unknown>;
type Unary = (request: Init, options?: CallOptions) => Promise<unknown>;
type Streaming = (request: Init, options?: CallOptions) => AsyncIterable<unknown>;

/** Calls that change something: they go on to the next coordinator only when they certainly did nothing. */
const CHANGES = /^(add|remove|set|apply|create|promote|transfer)/;

/**
 * The coordinators of a tier as one: whoever answers is asked, and the next one when it goes away.
 * @param isStale answers may be older than what the leader would say.
 */
export function createTierClient({ servers, tls }: Connection, isStale: boolean): TierClient {
  const clients = new Map<string, GrpcClient<typeof ControlService>>();
  let at = 0;
  const server = (): string => servers[at % servers.length] ?? "";
  const current = (): Init => {
    const address = server();
    const known = clients.get(address) ?? createGrpcClient(ControlService, address, { tls });
    clients.set(address, known);
    return known.call;
  };
  /** Goes on to the next one; false when all have been tried. */
  const next = (thrown: unknown, name: string, tried: number): boolean => {
    if (!mayGoOn(thrown, name) || tried >= servers.length) return false;
    at++;
    return true;
  };
  const callers = ControlService.methods.map((method) => {
    const name = method.localName;
    const hasStale = method.input.fields.some(({ localName }) => localName === "isStale");
    const complete = (request: Init): Init => (hasStale && isStale ? { ...request, isStale } : request);
    const unary: Unary = async (request, options) => {
      for (let tried = 1; ; tried++) {
        try {
          const isLast = tried >= servers.length || CHANGES.test(name);
          return await (current()[name] as Unary)(complete(request), isLast ? options : hurried(options));
        } catch (thrown) {
          if (!next(thrown, name, tried)) throw thrown;
        }
      }
    };
    const streaming: Streaming = async function* (request, options) {
      for (let tried = 1; ; tried++) {
        let hasBegun = false;
        try {
          for await (const answer of (current()[name] as Streaming)(complete(request), options)) {
            hasBegun = true;
            yield answer;
          }
          return;
        } catch (thrown) {
          // What came already must not come again: the caller knows where to go on.
          const isNext = next(thrown, name, tried);
          if (hasBegun || !isNext) throw thrown;
        }
      }
    };
    return [name, method.methodKind === "unary" ? unary : streaming] as const;
  });
  return {
    control: Object.fromEntries(callers) as unknown as Control,
    server,
    close: () => {
      for (const client of clients.values()) client.close();
    },
  };
}

/** One that stands still must not cost the whole time while there are others. Milliseconds. */
const TURN_MS = 3_000;

function hurried(options: CallOptions = {}): CallOptions {
  return { ...options, timeoutMs: Math.min(TURN_MS, options.timeoutMs ?? TURN_MS) };
}

function mayGoOn(thrown: unknown, name: string): boolean {
  if (!(thrown instanceof ClusterduckError)) return false;
  if (isUnsent(thrown)) return true;
  if (CHANGES.test(name)) return false;
  return ["UNREACHABLE", "STOPPING", "TIMED_OUT"].includes(thrown.code);
}
