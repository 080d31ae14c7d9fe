import { ulid } from "ulid";

import { ClusterduckError, messageOf } from "../common/errors.js";
import type { CallOptions } from "../common/grpc/service.js";
import { isUnsent } from "../common/grpc/unsent.js";
import { pause } from "./reconnect.js";

/** Between two rounds of the servers: an election takes a second or two. Milliseconds. */
const PAUSE_MS = 200;
/** For the question whether repeating is safe, milliseconds. */
const QUESTION_MS = 2_000;

export type Change = {
  /** Asks the server whose turn it is. */
  readonly attempt: (
    request: { readonly requestId?: string },
    options: CallOptions | undefined,
  ) => Promise<unknown>;
  /** Whether the call has a place for the id by which a coordinator recognises it. */
  readonly hasRequestId: boolean;
  readonly servers: number;
  /** It is the next server's turn. */
  readonly next: () => void;
  /** Whether the tier of the server whose turn it is recognises a change that it has made already. */
  readonly knowsRequests: (options: CallOptions) => Promise<boolean>;
  readonly options: CallOptions | undefined;
};

/**
 * Makes a change, again and again until its outcome is known, within the call's time. All attempts have one id, by
 * which the tier makes it once and answers it every time; where it would not, a lost answer is an error at once.
 * @throws ClusterduckError OUTCOME_UNKNOWN; UNREACHABLE when no server is there; and what the servers answer.
 */
export async function repeatChange(change: Change): Promise<unknown> {
  const { attempt, hasRequestId, servers, next, options = {} } = change;
  const { signal = new AbortController().signal, timeoutMs = Infinity } = options;
  const deadlineMs = performance.now() + timeoutMs;
  const left = (): CallOptions =>
    timeoutMs === Infinity ? options : { ...options, timeoutMs: Math.max(1, deadlineMs - performance.now()) };
  const request = hasRequestId ? { requestId: ulid() } : {};
  /** The first attempt that may have changed something. */
  let lost: ClusterduckError | null = null;
  let isKnown = false;
  /** Servers in a row that were not there. */
  let absent = 0;
  for (let tried = 1; ; tried++) {
    try {
      if (lost !== null && hasRequestId && !isKnown) isKnown = await isRecognised(change);
      if (lost === null || isKnown) return await attempt(request, left());
    } catch (thrown) {
      if (!(thrown instanceof ClusterduckError) || signal.aborted) throw thrown;
      const isPassing = mayBeDone(thrown) || isUnsent(thrown) || thrown.code === "NOT_LEADER";
      if (mayBeDone(thrown)) lost ??= thrown;
      absent = isUnsent(thrown) ? absent + 1 : 0;
      const isNobodyThere = lost === null && absent >= servers;
      const isOver = performance.now() + PAUSE_MS >= deadlineMs;
      if (!isPassing || isNobodyThere || isOver)
        throw lost === null || isAnswer(thrown) ? thrown : unknown(lost);
      next();
      if (tried % servers === 0) await pause(PAUSE_MS, signal);
      continue;
    }
    throw unknown(lost);
  }
}

/** @throws ClusterduckError STOPPING when it does not say so: the next one may. */
async function isRecognised({ knowsRequests, options }: Change): Promise<boolean> {
  try {
    return await knowsRequests({ ...options, timeoutMs: QUESTION_MS });
  } catch (cause) {
    throw new ClusterduckError("STOPPING", messageOf(cause), { cause });
  }
}

/** The connection broke, or the coordinator said itself that it does not know. With a hint, an error is an answer. */
function mayBeDone(thrown: ClusterduckError): boolean {
  if (thrown.code === "OUTCOME_UNKNOWN" || thrown.code === "STOPPING") return true;
  return thrown.code === "UNREACHABLE" && thrown.hint === undefined && !isUnsent(thrown);
}

/** Of the tier, to the change; others say only that there was none. */
function isAnswer({ code }: ClusterduckError): boolean {
  return !["OUTCOME_UNKNOWN", "STOPPING", "UNREACHABLE", "TIMED_OUT", "NOT_LEADER"].includes(code);
}

function unknown(lost: ClusterduckError): ClusterduckError {
  if (lost.code === "OUTCOME_UNKNOWN") return lost;
  return new ClusterduckError(
    "OUTCOME_UNKNOWN",
    `The coordinator went away in the middle of this change (${messageOf(lost)}): it may or may not have happened`,
    { cause: lost, hint: "Look how things stand before you repeat it" },
  );
}
