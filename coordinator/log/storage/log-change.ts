import assert from "node:assert";
import { ClusterduckError } from "../../../common/errors.js";
import type { Entry } from "../../raft/entry.js";
import type { HardState } from "../../raft/hard-state.js";
import type { LogRecord } from "./record.js";

/** One entry may not be larger: it is held in memory, sent and written in one piece. */
export const MAX_ENTRY_BYTES = 16 * 1024 * 1024;

/** What becomes durable together: first the truncation, then the entries, then the hard state. */
export type LogChange = {
  /** Entries after this index are void. */
  readonly truncateAfter?: number;
  /** They follow the last entry, or the truncation, without a hole. */
  readonly entries: readonly Entry[];
  readonly hardState?: HardState;
};

/** Of a log, what a change must fit. */
type LogEnd = { readonly baseIndex: number; readonly lastIndex: number; readonly term: number };

/** @throws ClusterduckError INVALID_ARGUMENT: an entry is too large; AssertionError: it does not follow `end`. */
export function assertFollows(change: LogChange, end: LogEnd): void {
  const { truncateAfter } = change;
  const { baseIndex, lastIndex, term } = end;
  if (truncateAfter !== undefined) {
    assert(truncateAfter >= baseIndex && truncateAfter <= lastIndex, "truncates beyond the log");
  }
  let expected = (truncateAfter ?? lastIndex) + 1;
  for (const entry of change.entries) {
    assert.equal(entry.index, expected, "entries must follow each other");
    expected++;
    if (entry.payload.length > MAX_ENTRY_BYTES) {
      throw new ClusterduckError(
        "INVALID_ARGUMENT",
        `Cannot append an entry of ${entry.payload.length} bytes: at most ${MAX_ENTRY_BYTES} are allowed`,
      );
    }
  }
  assert((change.hardState?.term ?? term) >= term, "the term never goes back");
}

/** In the order in which a restart replays them. */
export function recordsOf({ truncateAfter, entries, hardState }: LogChange): readonly LogRecord[] {
  const records: LogRecord[] = [];
  if (truncateAfter !== undefined) records.push({ kind: "truncateAfter", index: truncateAfter });
  for (const entry of entries) records.push({ kind: "entry", entry });
  if (hardState !== undefined) records.push({ kind: "hardState", hardState });
  return records;
}
