import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Replica } from "../replica.js";
import { ELECTION_PATIENCE_MS } from "./with-leader.js";

/**
 * The replica as people read it: a read that no leader confirms fails soon, and says who is missing.
 * @param noLeader what is known then.
 */
export function patientReplica(
  replica: Replica,
  options: {
    readonly clock: Clock;
    readonly hasLeader: () => boolean;
    readonly noLeader: () => ClusterduckError;
  },
): Replica {
  const { clock, hasLeader, noLeader } = options;
  return {
    // Live, as the replica itself is.
    get state() {
      return replica.state;
    },
    onApplied: (callback) => replica.onApplied(callback),
    onReplaced: (callback) => replica.onReplaced(callback),
    propose: (command, by, requestId) => replica.propose(command, by, requestId),
    readBarrier: async () => {
      const waiting = new AbortController();
      const timedOut = clock.sleep(ELECTION_PATIENCE_MS, waiting.signal).then(() => "timedOut" as const);
      try {
        const first = await Promise.race([replica.readBarrier(), timedOut]);
        if (first !== "timedOut") return;
      } catch (thrown) {
        const isAway =
          thrown instanceof ClusterduckError && ["NOT_LEADER", "UNREACHABLE"].includes(thrown.code);
        if (!isAway) throw thrown;
      } finally {
        waiting.abort();
      }
      if (!hasLeader()) throw noLeader();
      throw new ClusterduckError(
        "UNREACHABLE",
        "The leader has not confirmed that this answer would be the newest",
        {
          hint: "Ask again, or take what this coordinator has: --stale",
        },
      );
    },
  };
}
