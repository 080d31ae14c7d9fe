/** One committed entry. Indexes start at 1; 0 is "before all entries". */
export type LogEntry = {
  readonly index: number;
  readonly term: number;
  /** A command of the state machine; empty for the entries that the log writes for itself. */
  readonly payload: Uint8Array;
};

export type LogPosition = { readonly index: number; readonly term: number };

export type LogSnapshot = { readonly last: LogPosition; readonly data: Uint8Array };

export type Leadership = {
  /** Null while nobody is known to lead. */
  readonly leaderId: string | null;
  readonly term: number;
  readonly isLeader: boolean;
};

/**
 * The tier's memory: what is in it survives any minority of the members. Adapters: a durable log of
 * one member, raft, etcd.
 */
export interface ReplicatedLog {
  /**
   * Resolves when the payload is committed: durable on a quorum. Proposals of one caller are committed in
   * the order they were made.
   * @throws ClusterduckError NOT_LEADER (nothing happened), STOPPING or DISK_FAILED (the outcome is unknown).
   */
  propose(payload: Uint8Array): Promise<LogPosition>;
  /**
   * Committed entries after `afterIndex`, in order and without a hole, then new ones as they commit.
   * Ends when `signal` aborts or the log closes.
   * @throws ClusterduckError CONFLICT when a snapshot has replaced the entries asked for.
   */
  entries(afterIndex: number, signal: AbortSignal): AsyncIterable<LogEntry>;
  /** Resolves with an index; once that is applied, a read sees every change acknowledged before this call. */
  readBarrier(): Promise<number>;
  /** The newest snapshot, or null. */
  loadSnapshot(): Promise<LogSnapshot | null>;
  /** Replaces all entries up to the snapshot's position, durably and atomically. */
  saveSnapshot(snapshot: LogSnapshot): Promise<void>;
  leadership(): Leadership;
  /** Calls back at every change of leadership; the returned function unsubscribes. */
  onLeadership(callback: (leadership: Leadership) => void): () => void;
  /** Configured voting members, sorted. */
  members(): readonly string[];
  status(): { readonly commitIndex: number; readonly firstIndex: number; readonly bytes: number };
  close(): Promise<void>;
}
