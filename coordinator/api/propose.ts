import { ClusterduckError } from "../../common/errors.js";
import type { Replica } from "../replica.js";
import type { Command, CommandResult } from "../state/commands.js";
import type { RequestRecord } from "../state/model.js";
import { answerOfRepeat } from "../state/requests.js";
import type { ControlContext } from "./context.js";

/** Who asked for a change, for the record, and the id of the request; empty: none. */
export type Asker = { readonly by: string; readonly requestId: string };

const REQUEST_ID = /^[\w-]{0,64}$/;

/** @throws ClusterduckError INVALID_ARGUMENT */
export function askerOf(
  { requestId }: { readonly requestId: string },
  { peer }: { readonly peer: string },
): Asker {
  if (REQUEST_ID.test(requestId)) return { by: `api:${peer}`, requestId };
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Invalid request id ${JSON.stringify(requestId.slice(0, 200))}: expected up to 64 letters, digits, - or _, such as a ULID`,
  );
}

/**
 * Commits a command for a caller and returns its index: that of the first one of this request.
 * @throws ClusterduckError with the state machine's reason when it refused, or the log's.
 */
export async function proposeFor(
  { replica }: Pick<ControlContext, "replica">,
  { by, requestId }: Asker,
  command: Command,
): Promise<number> {
  const { result, position } = await replica.propose(command, by, requestId);
  assertAccepted(result);
  return replica.state.requests.get(requestId)?.index ?? position.index;
}

/**
 * Makes a change, or tells what became of it when this request has made it before. Whoever asks again does so because
 * the first answer was lost: what stands in the way of the change by now may be that very change.
 * @throws ClusterduckError what `make` throws, or what the first one was refused with.
 */
export async function once<Answer>(
  replica: Pick<Replica, "state">,
  request: { readonly requestId: string; readonly type: Command["type"] },
  make: () => Promise<Answer>,
  recall: (first: RequestRecord) => Answer,
): Promise<Answer> {
  const { requestId, type } = request;
  const repeated = (): Answer | null => {
    const first = replica.state.requests.get(requestId);
    const result = answerOfRepeat(replica.state, requestId, type);
    if (first === undefined || result === null) return null;
    assertAccepted(result);
    return recall(first);
  };
  const known = repeated();
  if (known !== null) return known;
  try {
    return await make();
  } catch (thrown) {
    const late = repeated();
    if (late === null) throw thrown;
    return late;
  }
}

function assertAccepted(result: CommandResult): void {
  if (!result.isAccepted) throw new ClusterduckError(result.code, result.message);
}
