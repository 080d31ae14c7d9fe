import type { CommandResult, Command } from "./state/commands.js";
import type { EventRecord, StateView } from "./state/model.js";
import type { LogPosition } from "./log/replicated-log.js";

export type AppliedEntry = {
  readonly position: LogPosition;
  readonly command: Command | null;
  readonly result: CommandResult;
  /** What the entry made happen, in order. */
  readonly events: readonly EventRecord[];
};

/** The replicated state on this member: the one place where commands go in and applied entries come out. */
export interface Replica {
  /** A live view: it changes with every applied entry. */
  readonly state: StateView;
  /**
   * Commits a command and applies it; resolves with what applying said and where. One of a request that was applied
   * before changes nothing, and says what that one said.
   * @throws ClusterduckError NOT_LEADER, STOPPING or DISK_FAILED as `ReplicatedLog.propose`.
   */
  propose(
    command: Command,
    by: string,
    requestId?: string,
  ): Promise<{ result: CommandResult; position: LogPosition }>;
  /** Calls back after every applied entry, in order; the returned function unsubscribes. */
  onApplied(callback: (applied: AppliedEntry) => void): () => void;
  /**
   * Calls back when another member's snapshot has replaced the state, because the entries in between are no longer
   * kept anywhere: anything may have changed. The returned function unsubscribes.
   */
  onReplaced(callback: () => void): () => void;
  /** Resolves once everything acknowledged before this call is applied here. */
  readBarrier(): Promise<void>;
}
