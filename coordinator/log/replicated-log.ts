import type { Member, MembershipChange } from "../raft/membership.js";

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

/** What only a person can mend, in words, and how. */
export type PeerProblem = { readonly message: string; readonly hint: string };

/** Why the log of a member that is there does not answer, as that member tells itself. */
export type MemberTrouble = PeerProblem & {
  /** `disk-full`, `disk-slow`, or what a newer program calls it. */
  readonly kind: string;
  /** Unix milliseconds, by that member's clock. */
  readonly sinceMs: number;
};

/** A member as this one sees it now. */
export type PeerStatus = Member & {
  /**
   * Milliseconds since anything was last heard from it; 0 for this member itself, null: nothing since the start.
   * With a leader, only the leader hears from all; without one, everybody who is there speaks to everybody.
   */
  readonly silentMs: number | null;
  /** Last entry known to be on its disk; null where this member does not know: only the leader does. */
  readonly matchIndex: number | null;
  /** What keeps it from taking part until somebody acts; left out: nothing that is known. */
  readonly problem?: PeerProblem;
};

export type LogStatus = {
  readonly commitIndex: number;
  readonly firstIndex: number;
  readonly bytes: number;
  /** All members, learners too, this one among them; sorted by id. */
  readonly peers: readonly PeerStatus[];
  /** Those that call this member, are none of its tier's, and were refused; left out: there are none. */
  readonly strangers?: readonly { readonly id: string; readonly problem: PeerProblem }[];
  /** Of this member itself; left out: none. */
  readonly trouble?: MemberTrouble;
};

/**
 * The tier's memory: what is in it survives any minority of the members. Adapters: a durable log of
 * one member, raft, etcd.
 */
export interface ReplicatedLog {
  /**
   * Resolves when the payload is committed: durable on a quorum. Proposals of one caller are committed in
   * the order they were made.
   * @throws ClusterduckError NOT_LEADER or OVERLOADED (nothing happened), STOPPING or DISK_FAILED (the outcome is
   *   unknown).
   */
  propose(payload: Uint8Array): Promise<LogPosition>;
  /**
   * Committed entries after `afterIndex`, in order and without a hole, then new ones as they commit.
   * Ends when `signal` aborts or the log closes.
   * @throws ClusterduckError CONFLICT when a snapshot has replaced the entries asked for.
   */
  entries(afterIndex: number, signal: AbortSignal): AsyncIterable<LogEntry>;
  /**
   * Resolves with an index; once that is applied, a read sees every change acknowledged before this call.
   * Works on every member.
   * @throws ClusterduckError UNREACHABLE within some seconds when no leader confirms it, OVERLOADED, STOPPING.
   */
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
  status(): LogStatus;
  /**
   * Changes the members by one step; resolves when the change is committed.
   * @throws ClusterduckError NOT_LEADER; CONFLICT with the reason in words when it cannot be now, or at all:
   *   nothing of it has happened; STOPPING or UNREACHABLE: the outcome is unknown.
   */
  changeMembership(change: MembershipChange): Promise<void>;
  /**
   * Hands leadership to a voter, the one that lacks least when `to` is null; resolves when another leads.
   * @throws ClusterduckError NOT_LEADER; CONFLICT when nobody can take it, or did not in time: this one goes on.
   */
  transferLeadership(to: string | null): Promise<void>;
  close(): Promise<void>;
}
