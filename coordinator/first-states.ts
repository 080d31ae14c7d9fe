import type { Clock } from "../common/clock.js";
import type { NodeRef } from "../common/model/node.js";
import type { Replica } from "./replica.js";

/**
 * Waits until every node has had a first decided state.
 * @param limitMs how long at most, milliseconds.
 * @returns the nodes that have had none by then; usually none.
 * @throws the signal's reason once it aborts.
 */
export function firstStates(
  replica: Pick<Replica, "state" | "onApplied" | "onReplaced">,
  clock: Pick<Clock, "after">,
  limitMs: number,
  signal: AbortSignal,
): Promise<readonly NodeRef[]> {
  const undecided = (): readonly NodeRef[] =>
    [...replica.state.nodes.values()].filter(({ heldState }) => heldState === "unknown");
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const finish = (settle: () => void): void => {
      for (const undo of undos) undo();
      settle();
    };
    const look = (): void => {
      if (undecided().length === 0) finish(() => resolve([]));
    };
    const onAbort = (): void => finish(() => reject(signal.reason as Error));
    signal.addEventListener("abort", onAbort, { once: true });
    const undos = [
      replica.onApplied(look),
      replica.onReplaced(look),
      clock.after(limitMs, () => finish(() => resolve(undecided()))),
      () => signal.removeEventListener("abort", onAbort),
    ];
    look();
  });
}
