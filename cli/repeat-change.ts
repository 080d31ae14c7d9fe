import { ulid } from "ulid";

import { ClusterduckError, messageOf } from "../common/errors.js";
import type { CallOptions } from "../common/grpc/service.js";
import { isUnsent } from "../common/grpc/unsent.js";
import { pause } from "./reconnect.js";

/** Between two rounds of the servers: an election takes a second or two. Milliseconds. */
const PAUSE_MS = 200;
/** For a question about the next server, milliseconds. */
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
  /** Whether the server whose turn it is knows somebody who leads; asked once another one did not. */
  readonly hasLeader: (options: CallOptions) => Promise<boolean>;
  readonly options: CallOptions | undefined;
};

/**
 * Makes a change, again and again until its outcome is known, within the call's time. All attempts have one id, by
 * which the tier makes it once and answers it every time; where it would not, a lost answer is an error at once.
 * A server without a leader has changed nothing: the next one is asked, unless it knows none either, for waiting
 * there would use up the time and leave the outcome open.
 * @throws ClusterduckError OUTCOME_UNKNOWN; UNREACHABLE when no server is there, or none has a leader; and what the
 *   servers answer.
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
  /** The newest answer that nobody leads there. */
  let leaderless: ClusterduckError | null = null;
  let isKnown = false;
  /** Servers in a row that were not there, or lack a majority. */
  let absent = 0;
  for (let tried = 1; ; tried++) {
    let thrown: unknown = leaderless;
    /** It may have happened, and may not be done again. */
    let isFinal = false;
    try {
      if (lost !== null && !isKnown) {
        isKnown = hasRequestId && (await isRecognised(change));
        isFinal = !isKnown;
      }
      if (isFinal) thrown = lost;
      else if (leaderless === null || (await isLed(change, left()))) return await attempt(request, left());
    } catch (error) {
      thrown = error;
    }
    if (!(thrown instanceof ClusterduckError) || signal.aborted) throw thrown;
    const isWithoutLeader = saysNoLeader(thrown);
    if (mayBeDone(thrown)) lost ??= thrown;
    if (isWithoutLeader) leaderless = thrown;
    absent = isUnsent(thrown) || (isWithoutLeader && thrown.code === "UNREACHABLE") ? absent + 1 : 0;
    const isPassing = mayBeDone(thrown) || isUnsent(thrown) || isWithoutLeader;
    const isNobodyThere = lost === null && absent >= servers;
    const isOver = performance.now() + PAUSE_MS >= deadlineMs;
    if (!isPassing || isFinal || isNobodyThere || isOver) {
      if (isAnswer(thrown)) throw thrown;
      throw lost === null ? (leaderless ?? thrown) : unknown(lost);
    }
    next();
    if (tried % servers === 0) await pause(PAUSE_MS, signal);
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

/** What cannot be asked counts as without: nothing has been changed there. */
async function isLed({ hasLeader }: Change, options: CallOptions): Promise<boolean> {
  try {
    const { timeoutMs = QUESTION_MS } = options;
    return await hasLeader({ ...options, timeoutMs: Math.min(QUESTION_MS, timeoutMs) });
  } catch (thrown) {
    if (thrown instanceof ClusterduckError) return false;
    throw thrown;
  }
}

/**
 * The connection broke, there was no answer in time, or the coordinator said itself that it does not know. With a
 * hint, UNREACHABLE is an answer.
 */
function mayBeDone(thrown: ClusterduckError): boolean {
  if (thrown.code === "OUTCOME_UNKNOWN" || thrown.code === "STOPPING") return true;
  if (isUnsent(thrown)) return false;
  return thrown.code === "TIMED_OUT" || (thrown.code === "UNREACHABLE" && thrown.hint === undefined);
}

/** Nothing has happened: a coordinator that does not know whether something has says OUTCOME_UNKNOWN. */
function saysNoLeader({ code, hint }: ClusterduckError): boolean {
  return code === "NOT_LEADER" || (code === "UNREACHABLE" && hint !== undefined);
}

/** Of the tier, to the change; others say only that there was none. */
function isAnswer({ code }: ClusterduckError): boolean {
  return !["OUTCOME_UNKNOWN", "STOPPING", "UNREACHABLE", "TIMED_OUT", "NOT_LEADER"].includes(code);
}

function unknown(lost: ClusterduckError): ClusterduckError {
  if (lost.code === "OUTCOME_UNKNOWN") return lost;
  const what =
    lost.code === "TIMED_OUT"
      ? `${messageOf(lost)} to this change`
      : `The coordinator went away in the middle of this change (${messageOf(lost)})`;
  return new ClusterduckError("OUTCOME_UNKNOWN", `${what}: it may or may not have happened`, {
    cause: lost,
    hint: "Look how things stand before you repeat it: `duckctl status`, `duckctl events`; what is under way may still happen",
  });
}
