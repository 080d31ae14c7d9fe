import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Replica } from "../replica.js";
import type { RunRecord } from "../state/model.js";
import type { Presence } from "./report-desk.js";

/** A coordinator that went may come back within this time and tell how its run ended. Milliseconds. */
const GRACE_MS = 10_000;
const RETRY_MS = 500;

export type OwnersView = {
  /** This coordinator in this life. */
  readonly own: string;
  readonly members: readonly string[];
  readonly presenceOf: (id: string) => Presence | undefined;
  /** How long this coordinator leads, milliseconds: before, nobody reported to it. */
  readonly leadingMs: number;
  readonly nowMs: number;
};

/**
 * Whether the coordinator that began a run may still be at it: another one began it, and lives on in the same
 * life though it no longer leads. Pure.
 */
export function isUnderWayElsewhere(run: Pick<RunRecord, "startedBy">, view: OwnersView): boolean {
  const owner = /^coordinator:(.+)#([^#]+)$/.exec(run.startedBy ?? "");
  const [, id, bootId] = owner ?? [];
  if (id === undefined || bootId === undefined || run.startedBy === view.own) return false;
  if (!view.members.includes(id)) return false;
  const presence = view.presenceOf(id);
  if (presence === undefined) return view.leadingMs < GRACE_MS;
  if (presence.bootId !== bootId) return false;
  return presence.isConnected || view.nowMs - presence.sinceMs < GRACE_MS;
}

/**
 * The replica as the runner of triggers uses it: runs are begun in this life's name, and how one ended is told
 * until it is committed, whoever leads by then. After `signal` aborts no more attempts are made.
 */
export function replicaOfRuns(
  replica: Replica,
  options: { readonly owner: string; readonly clock: Clock; readonly signal: AbortSignal },
): Replica {
  const { owner, clock, signal } = options;
  return {
    // Live, as the replica itself is.
    get state() {
      return replica.state;
    },
    onApplied: (callback) => replica.onApplied(callback),
    readBarrier: () => replica.readBarrier(),
    propose: async (command, by) => {
      if (command.type === "startRun") return replica.propose(command, owner);
      if (command.type !== "finishRun") return replica.propose(command, by);
      for (;;) {
        try {
          return await replica.propose(command, owner);
        } catch (thrown) {
          // Told twice, it is refused the second time: nothing is recorded twice.
          const isPassing =
            thrown instanceof ClusterduckError &&
            ["NOT_LEADER", "UNREACHABLE", "OVERLOADED"].includes(thrown.code);
          if (!isPassing || signal.aborted) throw thrown;
          await clock.sleep(RETRY_MS, signal);
        }
      }
    },
  };
}
