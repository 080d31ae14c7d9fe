import { ClusterduckError } from "../common/errors.js";
import type { CallOptions } from "../common/grpc/service.js";
import { isUnsent } from "../common/grpc/unsent.js";
import { isPassing } from "./reconnect.js";
import type { Turns } from "./server-turns.js";

/** One that stands still must not cost the whole time while there are others. Milliseconds. */
const TURN_MS = 3_000;

export type Question = {
  readonly turns: Pick<Turns, "next" | "place" | "goTo">;
  readonly servers: number;
  /** Asks the server whose turn it is. */
  readonly ask: (options: CallOptions | undefined) => Promise<unknown>;
  readonly options: CallOptions | undefined;
};

/**
 * Asks one server after the other until one answers. Of those that were slow the first gets the rest of the time
 * when nobody else has answered.
 * @throws ClusterduckError what the server said that tells most.
 */
export async function askQuestion({ turns, servers, ask, options }: Question): Promise<unknown> {
  const { timeoutMs = Infinity } = options ?? {};
  const deadlineMs = performance.now() + timeoutMs;
  const left = (): CallOptions | undefined =>
    timeoutMs === Infinity ? options : { ...options, timeoutMs: Math.max(1, deadlineMs - performance.now()) };
  let telling: unknown = null;
  let slow: number | null = null;
  for (let tried = 1; ; tried++) {
    const isLast = tried >= servers;
    try {
      return await ask(isLast ? left() : hurried(left()));
    } catch (thrown) {
      if (!isPassing(thrown)) throw thrown;
      // What a coordinator says of the tier tells more than that another one is not there.
      if (!isUnsent(thrown) || telling === null || isUnsent(telling)) telling = thrown;
      if (!isLast && wasHurried(thrown)) slow ??= turns.place();
    }
    if (!isLast) {
      turns.next();
      continue;
    }
    if (slow === null) throw telling;
    // It is there, and nobody else has answered: now it has all the time.
    turns.goTo(slow);
    return await ask(left());
  }
}

function hurried(options: CallOptions = {}): CallOptions {
  return { ...options, timeoutMs: Math.min(TURN_MS, options.timeoutMs ?? TURN_MS) };
}

/** Connected, but cut short: a coordinator that waits for a leader takes longer to say so. */
function wasHurried(thrown: unknown): boolean {
  return thrown instanceof ClusterduckError && thrown.code === "TIMED_OUT" && !isUnsent(thrown);
}
