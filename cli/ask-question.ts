import { ClusterduckError } from "../common/errors.js";
import type { CallOptions } from "../common/grpc/service.js";
import { isUnsent } from "../common/grpc/unsent.js";
import { isPassing, pause } from "./reconnect.js";

/** A server that has not answered by then is no longer waited for alone. Milliseconds. */
const TURN_MS = 1_000;

export type Question = {
  readonly servers: number;
  /** @param turn counts from 0, for the server that is asked first. */
  readonly ask: (turn: number, options: CallOptions) => Promise<unknown>;
  readonly options: CallOptions | undefined;
};

type End = { readonly turn: number } & ({ readonly answer: unknown } | { readonly thrown: unknown });

/**
 * Asks one server after the other until one answers. A slow one is not given up: the next is asked beside it, for what
 * stands still must not cost the whole time, and who waits for a leader takes longer to say that there is none.
 * @throws ClusterduckError what was said that tells most.
 */
export async function askQuestion({ servers, ask, options = {} }: Question): Promise<unknown> {
  const over = new AbortController();
  const { timeoutMs = Infinity } = options;
  const deadlineMs = performance.now() + timeoutMs;
  const begin = async (turn: number): Promise<End> => {
    const signal = AbortSignal.any([over.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    const left = timeoutMs === Infinity ? {} : { timeoutMs: Math.max(1, deadlineMs - performance.now()) };
    try {
      return { turn, answer: await ask(turn, { ...options, signal, ...left }) };
    } catch (thrown) {
      return { turn, thrown };
    }
  };
  const asked = new Map<number, Promise<End>>();
  let telling: unknown = null;
  let next = 0;
  try {
    for (;;) {
      if (asked.size === 0 && next === servers) throw telling;
      if (asked.size === 0) asked.set(next, begin(next++));
      const end = await firstOf([...asked.values()], next < servers);
      if (end === null) {
        asked.set(next, begin(next++));
        continue;
      }
      asked.delete(end.turn);
      if ("answer" in end) return end.answer;
      if (!isPassing(end.thrown)) throw end.thrown;
      if (telling === null || weight(end.thrown) >= weight(telling)) telling = end.thrown;
      if (next < servers) asked.set(next, begin(next++));
    }
  } finally {
    over.abort();
  }
}

/** Null: none came within a turn, and `hasNext`. */
async function firstOf(ends: readonly Promise<End>[], hasNext: boolean): Promise<End | null> {
  if (!hasNext) return Promise.race(ends);
  const turn = new AbortController();
  try {
    return await Promise.race([...ends, pause(TURN_MS, turn.signal).then(() => null)]);
  } finally {
    turn.abort();
  }
}

/** What a coordinator says of the tier tells more than silence, and that more than that nobody is there. */
function weight(thrown: unknown): number {
  if (isUnsent(thrown)) return 0;
  return thrown instanceof ClusterduckError && thrown.code === "TIMED_OUT" ? 1 : 2;
}
