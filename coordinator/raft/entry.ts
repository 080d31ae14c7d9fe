/** A place in the log. Indexes start at 1, terms too; index 0 has term 0 and is before all entries. */
export type Position = { readonly index: number; readonly term: number };

export const BEFORE_ALL: Position = { index: 0, term: 0 };

/** `noop` opens a leader's term, `members` carries a whole `Membership`; only commands reach the state machine. */
export type EntryKind = "command" | "noop" | "members";

export type Entry = {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  readonly payload: Uint8Array;
};

export const NO_PAYLOAD: Uint8Array = new Uint8Array(0);

/** What an entry costs beside its payload, in memory and on the wire, roughly. Keeps empty ones from being free. */
const ENTRY_OVERHEAD_BYTES = 32;

export function entryBytes(entry: Pick<Entry, "payload">): number {
  return ENTRY_OVERHEAD_BYTES + entry.payload.length;
}

/** Which log may win an election: the later last term, then the longer log. Source: Raft paper, section 5.4.1. */
export function isAtLeastAsRecent(candidate: Position, own: Position): boolean {
  return candidate.term === own.term ? candidate.index >= own.index : candidate.term > own.term;
}
