/** Changes on their way into the log: waiting to be gathered, or proposed and not yet committed. */
import type { NodeKey, NodeState } from "../../common/model/node.js";
import { BATCHING, cutDueAtMs } from "./batching.js";

export type Pending = {
  readonly to: NodeState;
  readonly isConclusive: boolean;
  /** When it began to wait, monotonic milliseconds. */
  readonly atMs: number;
};

/** An accusation older than this no longer delays other nodes' cuts. Milliseconds. */
const ACCUSATION_MS = 1_000;

/** Mutable and owned by one decider. Never holds two changes of one node. */
export class CutQueue {
  readonly #pending = new Map<NodeKey, Pending>();
  /** Proposed, with whether it uses up removal budget. */
  readonly #proposed = new Map<NodeKey, { readonly isBudgeted: boolean }>();
  /** Accused and undecided, since when. */
  readonly #accused = new Map<NodeKey, number>();

  /** Null: the node should not change (any more). A change that is the same as before keeps its place. */
  want(key: NodeKey, change: Omit<Pending, "atMs"> | null, nowMs: number): void {
    if (change === null || this.#proposed.has(key)) {
      this.#pending.delete(key);
      return;
    }
    const before = this.#pending.get(key);
    const isSame = before?.to === change.to && before.isConclusive === change.isConclusive;
    if (!isSame) this.#pending.set(key, { ...change, atMs: nowMs });
  }

  accuse(key: NodeKey, isAccused: boolean, nowMs: number): void {
    if (!isAccused) this.#accused.delete(key);
    else if (!this.#accused.has(key)) this.#accused.set(key, nowMs);
  }

  isPending(key: NodeKey): boolean {
    return this.#pending.has(key);
  }

  isProposed(key: NodeKey): boolean {
    return this.#proposed.has(key);
  }

  isLeaving(key: NodeKey): boolean {
    return this.#proposed.get(key)?.isBudgeted === true;
  }

  /** Monotonic milliseconds at which what waits must go; infinity: nothing waits. */
  dueAtMs(nowMs: number): number {
    if (this.#pending.size === 0) return Infinity;
    let firstAtMs = Infinity;
    let lastAtMs = Number.NEGATIVE_INFINITY;
    let firstConclusiveAtMs: number | null = null;
    for (const { atMs, isConclusive } of this.#pending.values()) {
      firstAtMs = Math.min(firstAtMs, atMs);
      lastAtMs = Math.max(lastAtMs, atMs);
      if (isConclusive) firstConclusiveAtMs = Math.min(firstConclusiveAtMs ?? Infinity, atMs);
    }
    const changes = this.#pending.size;
    const undecided = this.#accusedWithin(ACCUSATION_MS, nowMs);
    const dying = this.#accusedWithin(BATCHING.conclusiveMaxMs, nowMs);
    return cutDueAtMs({ firstAtMs, lastAtMs, firstConclusiveAtMs, changes, undecided, dying });
  }

  #accusedWithin(durationMs: number, nowMs: number): number {
    let count = 0;
    for (const sinceMs of this.#accused.values()) count += nowMs - sinceMs < durationMs ? 1 : 0;
    return count;
  }

  /** Everything that waits, in a repeatable order; it waits no longer. */
  take(): readonly (readonly [NodeKey, Pending])[] {
    const taken = [...this.#pending].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#pending.clear();
    return taken;
  }

  propose(key: NodeKey, isBudgeted: boolean): void {
    this.#proposed.set(key, { isBudgeted });
  }

  settle(key: NodeKey): void {
    this.#proposed.delete(key);
  }

  forget(key: NodeKey): void {
    this.#pending.delete(key);
    this.#proposed.delete(key);
    this.#accused.delete(key);
  }

  clear(): void {
    this.#pending.clear();
    this.#proposed.clear();
    this.#accused.clear();
  }
}
