import type { Clock } from "../../common/clock.js";
import type { AppliedEntry, Replica } from "../../coordinator/replica.js";
import { encodeCommand } from "../../coordinator/state/codec.js";
import { StateMachine } from "../../coordinator/state/machine.js";

/** The real state machine behind the port that its users know, without a log: what is proposed is committed. */
export function machineReplica(clock: Clock): Replica {
  const machine = new StateMachine();
  const listeners = new Set<(applied: AppliedEntry) => void>();
  return {
    state: machine.view,
    propose: async (command, by, requestId) => {
      const stamped = { atMs: clock.wallMs(), by, command };
      const payload = encodeCommand(requestId === undefined ? stamped : { ...stamped, requestId });
      const applied = machine.apply({ index: machine.view.index + 1, term: 1, payload });
      for (const listener of listeners) listener(applied);
      return { result: applied.result, position: applied.position };
    },
    onApplied: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onReplaced: () => () => undefined,
    readBarrier: () => Promise.resolve(),
  };
}
