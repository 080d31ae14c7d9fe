import { join } from "node:path";
import type { Entry } from "../../raft/entry.js";
import { NO_HARD_STATE } from "../../raft/hard-state.js";
import type { HardState } from "../../raft/hard-state.js";
import type { LogPosition } from "../replicated-log.js";
import type { FrameEnd } from "./frame.js";
import type { LogRecord, SegmentHeader } from "./record.js";
import type { SegmentContent } from "./segment.js";

/** A place in a file where the log is not as it was written. */
export type Damage = { readonly file: string; readonly offset: number; readonly found: string };

/** What the segments say, in order. */
export type Replay = {
  readonly hardState: HardState;
  /** Before the first of `entries`. The term is 0 when only a snapshot can tell. */
  readonly base: LogPosition;
  readonly entries: readonly Entry[];
  readonly identity: Pick<SegmentHeader, "memberId" | "clusterId"> | null;
  /** How the last segment ends. */
  readonly end: FrameEnd | null;
  /** Null: intact. */
  readonly damage: Damage | null;
};

/** Puts segments together. Pure; stops at the first damage and reports it. */
export function replay(directory: string, segments: readonly SegmentContent[]): Replay {
  const log = new Replayed();
  let identity: Replay["identity"] = null;
  let end: FrameEnd | null = null;
  let sequence: number | null = null;
  const result = (damage: Damage | null): Replay => ({
    hardState: log.hardState,
    base: log.base,
    entries: log.entries,
    identity,
    end,
    damage,
  });
  for (const [position, segment] of segments.entries()) {
    const file = join(directory, segment.name.file);
    if (sequence !== null && segment.name.sequence !== sequence + 1) {
      const found = `segment ${segment.name.sequence} after segment ${sequence}: those between are missing`;
      return result({ file, offset: 0, found });
    }
    sequence = segment.name.sequence;
    if (segment.header === null) {
      const found =
        segment.end.kind === "clean" ? "zeros where the segment header should be" : segment.end.found;
      return result({ file, offset: 0, found });
    }
    identity ??= segment.header;
    if (position === 0) log.reset({ index: segment.header.firstIndex - 1, term: 0 });
    for (const record of segment.records) {
      const problem = log.take(record);
      if (problem !== null) return result({ file, offset: 0, found: problem });
    }
    end = segment.end;
    const isLast = position === segments.length - 1;
    if (end.kind === "corrupt") return result({ file, offset: end.offset, found: end.found });
    if (end.kind === "torn" && !isLast) {
      return result({ file, offset: end.offset, found: `${end.found}, though another segment follows` });
    }
  }
  return result(null);
}

class Replayed {
  hardState: HardState = NO_HARD_STATE;
  base: LogPosition = { index: 0, term: 0 };
  entries: Entry[] = [];

  reset(base: LogPosition): void {
    this.base = base;
    this.entries = [];
  }

  /** Returns what is wrong with the record here, or null. */
  take(record: LogRecord): string | null {
    switch (record.kind) {
      case "header":
        return null;
      case "hardState":
        this.hardState = record.hardState;
        return null;
      case "base":
        this.reset(record.position);
        return null;
      case "truncateAfter":
        // Segments before may be gone, together with what this voids.
        if (record.index < this.base.index) this.reset({ index: record.index, term: 0 });
        else this.entries.length = Math.min(this.entries.length, record.index - this.base.index);
        return null;
      case "entry": {
        const expected = this.base.index + this.entries.length + 1;
        if (record.entry.index !== expected) {
          return `entry ${record.entry.index} where entry ${expected} should be`;
        }
        this.entries.push(record.entry);
        return null;
      }
    }
  }
}
