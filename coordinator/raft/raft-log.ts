import type { Durability } from "./durability.js";
import { entryBytes } from "./entry.js";
import type { Entry, EntryKind, Position } from "./entry.js";
import { invariant } from "./invariant.js";
import { MembershipHistory } from "./membership-history.js";
import type { SnapshotMark } from "./message.js";

/**
 * The entries since the last compaction, in memory; storage is the runner's. Appends, truncates and
 * commits only as Raft allows, and tells `durability` what no longer is as it was written.
 */
export class RaftLog {
  readonly #durability: Durability;
  #base: Position;
  #entries: Entry[] = [];
  #commit: number;
  #uncommittedBytes = 0;
  #snapshot: SnapshotMark;
  #history: MembershipHistory;

  /** `entries` follow `base` without a hole; those up to `commit` are known to be committed. */
  constructor(base: SnapshotMark, entries: readonly Entry[], commit: number, durability: Durability) {
    this.#durability = durability;
    this.#base = base.last;
    this.#snapshot = base;
    this.#commit = commit;
    this.#history = new MembershipHistory({ index: base.last.index, membership: base.membership });
    for (const entry of entries) this.#push(entry);
    invariant(
      commit >= base.last.index && commit <= this.last.index,
      `The log ends with entry ${this.last.index}, but entry ${commit} was committed`,
    );
  }

  /** What the first entry in memory follows. */
  get base(): Position {
    return this.#base;
  }

  get last(): Position {
    return this.#entries.at(-1) ?? this.#base;
  }

  get commit(): number {
    return this.#commit;
  }

  /** The newest snapshot, which peers get that lack entries up to `base`. */
  get snapshot(): SnapshotMark {
    return this.#snapshot;
  }

  get history(): Pick<MembershipHistory, "current" | "currentIndex"> {
    return this.#history;
  }

  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }

  /** Undefined up to the base and after the end. */
  entry(index: number): Entry | undefined {
    return this.#entries[index - this.#base.index - 1];
  }

  /** 0 at index 0, which is before all entries; null where the log does not reach (any more). */
  termAt(index: number): number | null {
    if (index === this.#base.index) return this.#base.term;
    return this.entry(index)?.term ?? null;
  }

  has(position: Position): boolean {
    return this.termAt(position.index) === position.term;
  }

  /** What a snapshot as of `index`, which is in the log, is to be marked with. */
  markAt(index: number): SnapshotMark {
    const term = this.termAt(index);
    invariant(term !== null, `Entry ${index} is not in the log, which begins after ${this.#base.index}`);
    return { last: { index, term }, membership: this.#history.at(index) };
  }

  /** The last place at or before `position` whose term is not later; where that is unknown, before the base. */
  lastAgreeing(position: Position): number {
    for (let index = Math.min(position.index, this.last.index); index >= this.#base.index; index--) {
      const term = this.termAt(index);
      if (term !== null && term <= position.term) return index;
    }
    return Math.min(position.index, Math.max(0, this.#base.index - 1));
  }

  /** Entries after `index` up to `upTo`: at least one if there is one, then as long as they fit. */
  entriesAfter(index: number, maxBytes = Infinity, upTo = this.last.index): readonly Entry[] {
    const from = index - this.#base.index;
    invariant(
      from >= 0,
      `Entry ${index + 1} is no longer in the log, which begins after ${this.#base.index}`,
    );
    const to = upTo - this.#base.index;
    let end = from;
    for (let bytes = 0; end < to; end++) {
      const entry = this.#entries[end];
      if (entry === undefined) break;
      bytes += entryBytes(entry);
      if (bytes > maxBytes && end > from) break;
    }
    return this.#entries.slice(from, end);
  }

  /** Appends as the leader of `term`. */
  append(term: number, kind: EntryKind, payloads: readonly Uint8Array[]): Position {
    invariant(term >= this.last.term, `Term ${term} follows entries of term ${this.last.term}`);
    for (const payload of payloads) this.#push({ index: this.last.index + 1, term, kind, payload });
    return this.last;
  }

  /**
   * Takes what a leader sends after `previous`, which must be in the log. Entries that are there already
   * stay; the first one whose term differs, and all after it, give way. A shorter message never shortens
   * the log: it may be an old one. Source: Raft paper, section 5.3 and figure 2.
   */
  accept(previous: Position, entries: readonly Entry[]): void {
    invariant(this.has(previous), `Entries follow entry ${previous.index}, which is not in the log`);
    const known = entries.findIndex((entry) => !this.has(entry));
    if (known === -1) return;
    const first = previous.index + 1 + known;
    if (first <= this.last.index) this.#truncateAfter(first - 1);
    for (const entry of entries.slice(known)) this.#push(entry);
  }

  /** Entries up to `index` are committed. Never goes back. */
  commitTo(index: number): void {
    if (index <= this.#commit) return;
    invariant(
      index <= this.last.index,
      `Entry ${index} is committed, but the log ends with ${this.last.index}`,
    );
    for (let at = this.#commit + 1; at <= index; at++) this.#uncommittedBytes -= this.#bytesAt(at);
    this.#commit = index;
  }

  /** A snapshot takes the place of the whole log, which does not contain its last entry. */
  restore(snapshot: SnapshotMark): void {
    const { last, membership } = snapshot;
    invariant(last.index > this.#commit, `Snapshot ${last.index} is older than committed ${this.#commit}`);
    this.#base = last;
    this.#snapshot = snapshot;
    this.#entries = [];
    this.#commit = last.index;
    this.#uncommittedBytes = 0;
    this.#history = new MembershipHistory({ index: last.index, membership });
    this.#durability.replacedBy(snapshot);
  }

  /**
   * There is a durable snapshot as of `snapshot`, and entries up to `upTo` may go. Those between serve
   * peers that lag a little.
   */
  compact(upTo: number, snapshot: Position): void {
    invariant(
      upTo <= snapshot.index && snapshot.index <= this.#commit,
      `Compaction up to ${upTo} with a snapshot of ${snapshot.index}, where ${this.#commit} is committed`,
    );
    if (snapshot.index > this.#snapshot.last.index) {
      invariant(this.has(snapshot), `Snapshot ${snapshot.index} has term ${snapshot.term}, unlike the log`);
      this.#snapshot = this.markAt(snapshot.index);
    }
    const term = this.termAt(upTo);
    if (term === null) return;
    this.#entries = this.#entries.slice(upTo - this.#base.index);
    this.#base = { index: upTo, term };
    this.#history.compact(upTo);
  }

  #truncateAfter(index: number): void {
    invariant(
      index >= this.#commit,
      `Entry ${index + 1} is committed, but a leader has another in its place`,
    );
    for (let at = index + 1; at <= this.last.index; at++) this.#uncommittedBytes -= this.#bytesAt(at);
    this.#entries.length = index - this.#base.index;
    this.#history.truncateAfter(index);
    this.#durability.truncatedAfter(index);
  }

  #push(entry: Entry): void {
    const { index, term } = this.last;
    invariant(entry.index === index + 1, `Entry ${entry.index} follows entry ${index}`);
    invariant(entry.term >= term, `Entry ${entry.index} has term ${entry.term}, after one of term ${term}`);
    this.#entries.push(entry);
    if (entry.index > this.#commit) this.#uncommittedBytes += entryBytes(entry);
    this.#history.append(entry);
  }

  #bytesAt(index: number): number {
    const entry = this.entry(index);
    return entry === undefined ? 0 : entryBytes(entry);
  }
}
