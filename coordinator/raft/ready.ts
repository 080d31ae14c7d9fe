import type { Entry } from "./entry.js";
import type { HardState } from "./hard-state.js";
import type { ForwardOutcome, Message, RequestId, SnapshotMark } from "./message.js";

/**
 * What the core wants done, gathered since the last call of `ready()`. The runner
 * 1. sends `messages` at once (a leader's appends travel while its own disk works);
 * 2. begins `write`, if there is one, and when it is durable sends `write.messages` and calls
 *    `core.persisted(write.id)`;
 * 3. applies `committed` in order, calling `core.applied(index)` as it goes;
 * 4. answers `reads` and `forwarded`, and tells whoever listens of `leadership`.
 * After each call into the core it asks for the next one.
 */
export type Ready = {
  readonly messages: readonly Message[];
  /** Null when there is nothing to write, and while the write before has not been reported `persisted`. */
  readonly write: Write | null;
  /** Committed and durable here, following without a hole on those handed out before, or on a snapshot. */
  readonly committed: readonly Entry[];
  readonly reads: readonly ReadOutcome[];
  readonly forwarded: readonly ForwardResult[];
  /** Null when nothing of it has changed. */
  readonly leadership: LeadershipView | null;
};

/**
 * One write and one sync. While it runs, everything new gathers in the next: that is the group commit, and
 * the reason why a late report cannot be mistaken for one about other entries. After DISK_FULL the runner
 * keeps the write and tries again; after any other failure the process ends.
 */
export type Write = {
  readonly id: number;
  /**
   * First make this snapshot durable: it replaces the whole log. Its data arrived with the message
   * `installSnapshot` of the same mark; the state machine is restored from it before anything later is applied.
   */
  readonly snapshot?: SnapshotMark;
  /** Then, in one piece: entries after this index are void, … */
  readonly truncateAfter?: number;
  /** … these follow, … */
  readonly entries: readonly Entry[];
  /** … and this replaces what was there. */
  readonly hardState?: HardState;
  /** Promises: votes and acknowledgements. Sent before the write is durable, they could be broken by a crash. */
  readonly messages: readonly Message[];
};

/** Once `index` is applied, a read sees every change that was acknowledged before it was asked for. */
export type ReadOutcome =
  | { readonly request: RequestId; readonly kind: "confirmed"; readonly index: number }
  /** Nobody confirmed it: leadership changed, or no answer came in time. Ask again. */
  | { readonly request: RequestId; readonly kind: "failed" };

/** The end of a forwarded proposal; `unknown`: it may or may not be in the log. */
export type ForwardResult = {
  readonly request: RequestId;
  readonly outcome: ForwardOutcome | { readonly kind: "unknown" };
};

/** `preCandidate` asks whether it could win, `candidate` asks for votes. */
export type Role = "follower" | "preCandidate" | "candidate" | "leader";

export type LeadershipView = {
  readonly role: Role;
  readonly term: number;
  /** Null while nobody is known to lead. */
  readonly leaderId: string | null;
};

export function isIdle(ready: Ready): boolean {
  return (
    ready.messages.length === 0 &&
    ready.write === null &&
    ready.committed.length === 0 &&
    ready.reads.length === 0 &&
    ready.forwarded.length === 0 &&
    ready.leadership === null
  );
}
