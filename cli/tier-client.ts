import { ClusterduckError } from "../common/errors.js";
import { createGrpcClient } from "../common/grpc/client.js";
import type { GrpcClient } from "../common/grpc/client.js";
import type { CallOptions, ServiceClient } from "../common/grpc/service.js";
import { ControlService } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { ListCoordinatorsResponse } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { Connection } from "./connection.js";
import { isUnsent } from "../common/grpc/unsent.js";
import { isPassing } from "./reconnect.js";
import { repeatChange } from "./repeat-change.js";

export type Control = ServiceClient<typeof ControlService>;

export type TierClient = {
  readonly control: Control;
  /** What the newest call that failed at each server met there, by address. */
  readonly failures: ReadonlyMap<string, unknown>;
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
  const failures = new Map<string, unknown>();
  /** Whoever answered last is asked first. */
  let favourite = 0;
  /** Calls that are made at the same moment take their turns independently: none skips a server because of another. */
  const beginTurns = () => {
    let at = favourite;
    const address = (): string => servers[at % servers.length] ?? "";
    return {
      api: (): Init => {
        const known = clients.get(address()) ?? createGrpcClient(ControlService, address(), { tls });
        clients.set(address(), known);
        return known.call;
      },
      answered: () => {
        favourite = at % servers.length;
        failures.delete(address());
      },
      failed: (thrown: unknown) => void failures.set(address(), thrown),
      next: () => void at++,
      place: () => at,
      goTo: (place: number) => void (at = place),
    };
  };
  const callers = ControlService.methods.map((method) => {
    const name = method.localName;
    const hasStale = method.input.fields.some(({ localName }) => localName === "isStale");
    const complete = (request: Init): Init => (hasStale && isStale ? { ...request, isStale } : request);
    const change: Unary = (request, options) => {
      const turns = beginTurns();
      const coordinators = async (call: CallOptions): Promise<ListCoordinatorsResponse> => {
        const answer = await (turns.api()["listCoordinators"] as Unary)({ isStale: true }, call);
        return answer as ListCoordinatorsResponse;
      };
      return repeatChange({
        attempt: async (named, call) => {
          try {
            const answer = await (turns.api()[name] as Unary)({ ...request, ...named }, call);
            turns.answered();
            return answer;
          } catch (thrown) {
            turns.failed(thrown);
            throw thrown;
          }
        },
        hasRequestId: method.input.fields.some(({ localName }) => localName === "requestId"),
        servers: servers.length,
        next: turns.next,
        knowsRequests: async (call) => (await coordinators(call)).featureLevel >= REQUEST_IDS_SINCE,
        hasLeader: async (call) => (await coordinators(call)).leaderId !== "",
        options,
      });
    };
    const question: Unary = async (request, options) => {
      const turns = beginTurns();
      const ask = async (call: CallOptions | undefined): Promise<unknown> => {
        try {
          const answer = await (turns.api()[name] as Unary)(complete(request), call);
          turns.answered();
          return answer;
        } catch (thrown) {
          turns.failed(thrown);
          throw thrown;
        }
      };
      let telling: unknown = null;
      let slow: number | null = null;
      for (let tried = 1; ; tried++) {
        const isLast = tried >= servers.length;
        try {
          return await ask(isLast ? options : hurried(options));
        } catch (thrown) {
          if (!isPassing(thrown)) throw thrown;
          // What a coordinator says of the tier tells more than that another one is not there.
          if (!isUnsent(thrown) || telling === null || isUnsent(telling)) telling = thrown;
          if (!isLast && wasHurried(thrown)) slow ??= turns.place();
          if (!isLast) turns.next();
        }
        if (!isLast) continue;
        if (slow === null) throw telling;
        // It is there, and nobody else has answered: now it has all the time.
        turns.goTo(slow);
        return await ask(options);
      }
    };
    const unary = isChange(method) ? change : question;
    const streaming: Streaming = async function* (request, options) {
      const turns = beginTurns();
      for (let tried = 1; ; tried++) {
        let hasBegun = false;
        try {
          for await (const answer of (turns.api()[name] as Streaming)(complete(request), options)) {
            if (!hasBegun) turns.answered();
            hasBegun = true;
            yield answer;
          }
          return;
        } catch (thrown) {
          turns.failed(thrown);
          if (hasBegun && isPassing(thrown)) favourite = (favourite + 1) % servers.length;
          // What came already must not come again: the caller knows where to go on.
          if (hasBegun || !isPassing(thrown) || tried >= servers.length) throw thrown;
          turns.next();
        }
      }
    };
    return [name, method.methodKind === "unary" ? unary : streaming] as const;
  });
  return {
    control: Object.fromEntries(callers) as unknown as Control,
    failures,
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

/** Connected, but cut short: a coordinator that waits for a leader takes longer to say so. */
function wasHurried(thrown: unknown): boolean {
  return thrown instanceof ClusterduckError && thrown.code === "TIMED_OUT" && !isUnsent(thrown);
}

/** These have no id: what they do is no change of the state, and stands in no snapshot. */
const MOVES: ReadonlySet<string> = new Set(["promoteCoordinator", "transferLeadership"]);

function isChange({ localName, input }: (typeof ControlService.methods)[number]): boolean {
  return MOVES.has(localName) || input.fields.some((field) => field.localName === "requestId");
}
