import type { CallOptions, ServiceClient } from "../common/grpc/service.js";
import { ControlService } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { ListCoordinatorsResponse } from "../proto/gen/clusterduck/v1/control_pb.js";
import { askQuestion } from "./ask-question.js";
import type { Connection } from "./connection.js";
import { isPassing } from "./reconnect.js";
import { repeatChange } from "./repeat-change.js";
import { Servers } from "./server-turns.js";
import type { Init, Turns } from "./server-turns.js";

export type Control = ServiceClient<typeof ControlService>;

export type TierClient = {
  readonly control: Control;
  /** What the newest call that failed at each server met there, by address. */
  readonly failures: ReadonlyMap<string, unknown>;
  readonly close: () => void;
};

type Method = (typeof ControlService.methods)[number];

/** Feature level of a tier that recognises a request by its id. */
const REQUEST_IDS_SINCE = 1;
/** These have no id: what they do is no change of the state, and stands in no snapshot. */
const MOVES: ReadonlySet<string> = new Set(["promoteCoordinator", "transferLeadership"]);

/**
 * The coordinators of a tier as one: whoever answers is asked, and the next one when it goes away.
 * @param isStale answers may be older than what the leader would say.
 */
export function createTierClient(connection: Connection, isStale: boolean): TierClient {
  const servers = new Servers(connection);
  const callers = ControlService.methods.map((method) => {
    const complete = (request: Init): Init =>
      isStale && hasField(method, "isStale") ? { ...request, isStale } : request;
    const call = isChange(method) ? change : method.methodKind === "unary" ? question : stream;
    return [
      method.localName,
      (request: Init, options?: CallOptions) => call(servers, method, complete(request), options),
    ] as const;
  });
  return {
    control: Object.fromEntries(callers) as unknown as Control,
    failures: servers.failures,
    close: () => servers.close(),
  };
}

function change(servers: Servers, method: Method, request: Init, options?: CallOptions): Promise<unknown> {
  const turns = servers.begin();
  return repeatChange({
    attempt: (named, call) => turns.ask(method.localName, { ...request, ...named }, call),
    hasRequestId: hasField(method, "requestId"),
    servers: servers.count,
    next: turns.next,
    knowsRequests: async (call) => (await coordinators(turns, call)).featureLevel >= REQUEST_IDS_SINCE,
    hasLeader: async (call) => (await coordinators(turns, call)).leaderId !== "",
    options,
  });
}

/** What the server whose turn it is knows itself. */
async function coordinators(turns: Turns, call: CallOptions): Promise<ListCoordinatorsResponse> {
  const answer = await turns.peek("listCoordinators", { isStale: true }, call);
  return answer as ListCoordinatorsResponse;
}

function question(servers: Servers, method: Method, request: Init, options?: CallOptions): Promise<unknown> {
  const first = servers.favourite;
  const ask = (turn: number, call: CallOptions): Promise<unknown> =>
    servers.begin(first + turn).ask(method.localName, request, call);
  return askQuestion({ servers: servers.count, ask, options });
}

async function* stream(
  servers: Servers,
  method: Method,
  request: Init,
  options?: CallOptions,
): AsyncIterable<unknown> {
  const turns = servers.begin();
  for (let tried = 1; ; tried++) {
    let hasBegun = false;
    try {
      for await (const answer of turns.stream(method.localName, request, options)) {
        hasBegun = true;
        yield answer;
      }
      return;
    } catch (thrown) {
      if (hasBegun && isPassing(thrown)) servers.changeFavourite();
      // What came already must not come again: the caller knows where to go on.
      if (hasBegun || !isPassing(thrown) || tried >= servers.count) throw thrown;
      turns.next();
    }
  }
}

function isChange(method: Method): boolean {
  return MOVES.has(method.localName) || hasField(method, "requestId");
}

/** Whether the method's request has such a field. */
function hasField({ input }: Method, name: string): boolean {
  return input.fields.some(({ localName }) => localName === name);
}
