import type { HardState } from "./hard-state.js";
import { invariant } from "./invariant.js";
import type { Message, SnapshotMark } from "./message.js";
import type { RaftLog } from "./raft-log.js";
import type { Write } from "./ready.js";

type InFlight = {
  readonly id: number;
  /** Entries up to here that it makes durable and that have not been replaced since. */
  last: number;
  readonly hardState: HardState;
  ageTicks: number;
};

/**
 * What is on this member's disk, what is on the way there, and what is still to be written. Writes follow
 * each other one at a time. An index alone does not say which entry was written (one may have taken
 * another's place while the disk worked), so a truncation also shortens what the running write may claim.
 */
export class Durability {
  /** Entries up to here are durable. */
  #persisted: number;
  /** Entries up to here are durable or in the running write. */
  #handed: number;
  #truncateAfter: number | null = null;
  #snapshot: SnapshotMark | null = null;
  #hardState: HardState;
  #inFlight: InFlight | null = null;
  #writes = 0;

  constructor(last: number, hardState: HardState) {
    this.#persisted = last;
    this.#handed = last;
    this.#hardState = hardState;
  }

  get persisted(): number {
    return this.#persisted;
  }

  /** The term and vote that a restart would find. */
  get hardState(): HardState {
    return this.#hardState;
  }

  get isWriting(): boolean {
    return this.#inFlight !== null;
  }

  /** How long the running write takes already; 0 without one. */
  get writeTicks(): number {
    return this.#inFlight?.ageTicks ?? 0;
  }

  tick(): void {
    if (this.#inFlight !== null) this.#inFlight.ageTicks++;
  }

  /** Entries after `index` have been replaced or dropped. */
  truncatedAfter(index: number): void {
    this.#persisted = Math.min(this.#persisted, index);
    if (this.#inFlight !== null) this.#inFlight.last = Math.min(this.#inFlight.last, index);
    if (this.#handed <= index) return;
    this.#handed = index;
    this.#truncateAfter = Math.min(this.#truncateAfter ?? index, index);
  }

  /** A snapshot has taken the place of the whole log. */
  replacedBy(snapshot: SnapshotMark): void {
    this.#persisted = 0;
    if (this.#inFlight !== null) this.#inFlight.last = 0;
    this.#handed = snapshot.last.index;
    this.#truncateAfter = null;
    this.#snapshot = snapshot;
  }

  /** What to write now, or null: nothing, or the write before still runs. Takes the promises along. */
  next(log: RaftLog, hardState: HardState, takePromises: () => readonly Message[]): Write | null {
    if (this.#inFlight !== null || !this.#isDirty(log, hardState)) return null;
    const entries = log.entriesAfter(this.#handed);
    const write: Write = {
      id: ++this.#writes,
      ...(this.#snapshot === null ? {} : { snapshot: this.#snapshot }),
      ...(this.#truncateAfter === null ? {} : { truncateAfter: this.#truncateAfter }),
      entries,
      ...(isEqual(hardState, this.#hardState) ? {} : { hardState }),
      messages: takePromises(),
    };
    this.#inFlight = { id: write.id, last: log.last.index, hardState, ageTicks: 0 };
    this.#handed = log.last.index;
    this.#truncateAfter = null;
    this.#snapshot = null;
    return write;
  }

  /** The write is durable. */
  finish(id: number): void {
    invariant(this.#inFlight?.id === id, `Write ${id} is reported durable, but is not the one that runs`);
    this.#persisted = Math.max(this.#persisted, this.#inFlight.last);
    this.#hardState = this.#inFlight.hardState;
    this.#inFlight = null;
  }

  /** A commit index alone is not worth a sync: after a restart the leader tells it again. */
  #isDirty(log: RaftLog, hardState: HardState): boolean {
    return (
      this.#snapshot !== null ||
      this.#truncateAfter !== null ||
      log.last.index > this.#handed ||
      hardState.term !== this.#hardState.term ||
      hardState.vote !== this.#hardState.vote
    );
  }
}

function isEqual(left: HardState, right: HardState): boolean {
  return left.term === right.term && left.vote === right.vote && left.commit === right.commit;
}
