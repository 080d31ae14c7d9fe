import { createGrpcClient } from "../common/grpc/client.js";
import type { GrpcClient } from "../common/grpc/client.js";
import type { CallOptions, ServiceClient } from "../common/grpc/service.js";
import { ControlService } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { ListCoordinatorsResponse } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { Connection } from "./connection.js";
import { isPassing } from "./reconnect.js";
import { repeatChange } from "./repeat-change.js";

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
  const next = (thrown: unknown, tried: number): boolean => {
    if (!isPassing(thrown) || tried >= servers.length) return false;
    at++;
    return true;
  };
  const callers = ControlService.methods.map((method) => {
    const name = method.localName;
    const hasStale = method.input.fields.some(({ localName }) => localName === "isStale");
    const complete = (request: Init): Init => (hasStale && isStale ? { ...request, isStale } : request);
    const change: Unary = (request, options) =>
      repeatChange({
        attempt: (named, call) => (current()[name] as Unary)({ ...request, ...named }, call),
        hasRequestId: method.input.fields.some(({ localName }) => localName === "requestId"),
        servers: servers.length,
        next: () => void at++,
        knowsRequests: async (call) => {
          const answer = await (current()["listCoordinators"] as Unary)({ isStale: true }, call);
          return (answer as ListCoordinatorsResponse).featureLevel >= REQUEST_IDS_SINCE;
        },
        options,
      });
    const question: Unary = async (request, options) => {
      for (let tried = 1; ; tried++) {
        try {
          const isLast = tried >= servers.length;
          return await (current()[name] as Unary)(complete(request), isLast ? options : hurried(options));
        } catch (thrown) {
          if (!next(thrown, tried)) throw thrown;
        }
      }
    };
    const unary = isChange(method) ? change : question;
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
          const isNext = next(thrown, tried);
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

/** Feature level of a tier that recognises a request by its id. */
const REQUEST_IDS_SINCE = 1;

/** One that stands still must not cost the whole time while there are others. Milliseconds. */
const TURN_MS = 3_000;

function hurried(options: CallOptions = {}): CallOptions {
  return { ...options, timeoutMs: Math.min(TURN_MS, options.timeoutMs ?? TURN_MS) };
}

/** These have no id: what they do is no change of the state, and stands in no snapshot. */
const MOVES: ReadonlySet<string> = new Set(["promoteCoordinator", "transferLeadership"]);

function isChange({ localName, input }: (typeof ControlService.methods)[number]): boolean {
  return MOVES.has(localName) || input.fields.some((field) => field.localName === "requestId");
}
