import { BEFORE_ALL } from "../../../coordinator/raft/entry.js";
import type { Entry, Position } from "../../../coordinator/raft/entry.js";
import { NO_HARD_STATE } from "../../../coordinator/raft/hard-state.js";
import type { HardState } from "../../../coordinator/raft/hard-state.js";
import { NO_MEMBERS } from "../../../coordinator/raft/membership.js";
import type { SnapshotMark } from "../../../coordinator/raft/message.js";
import type { Write } from "../../../coordinator/raft/ready.js";

type Job = { readonly steps: (() => void)[]; readonly done: () => void };

/** `hung`: nothing completes; `full`: writes wait for space; `slow`: a hundred times the usual latency. */
export type DiskMode = "works" | "slow" | "hung" | "full";

/**
 * A member's storage as its contract says: a write is one frame with a checksum, so after a crash it is
 * there whole or not at all; a snapshot becomes durable before the rest of its write. What survives a
 * crash before the completion was told is left to chance.
 */
export class MemberDisk {
  hardState: HardState = NO_HARD_STATE;
  base: SnapshotMark = { last: BEFORE_ALL, membership: NO_MEMBERS };
  snapshot: Uint8Array | null = null;
  /** They follow the base without a hole. */
  entries: Entry[] = [];
  mode: DiskMode = "works";
  /** A bit has flipped: the checksum says so at the next start, which is refused. */
  isDamaged = false;
  readonly #jobs = new Set<Job>();
  readonly #waiting: Job[] = [];
  readonly #schedule: (mode: "works" | "slow", run: () => void) => void;

  /** @param schedule runs something after the time that a write and a sync take. */
  constructor(schedule: (mode: "works" | "slow", run: () => void) => void) {
    this.#schedule = schedule;
  }

  get last(): Position {
    return this.entries.at(-1) ?? this.base.last;
  }

  /** Undefined where the log does not reach, or a snapshot has replaced it. */
  termAt(index: number): number | undefined {
    if (index === this.base.last.index) return this.base.last.term;
    return this.entries[index - this.base.last.index - 1]?.term;
  }

  holds(position: Position): boolean {
    return position.index <= this.base.last.index || this.termAt(position.index) === position.term;
  }

  /** @param data of the write's snapshot. */
  write(write: Write, data: Uint8Array | null, done: () => void): void {
    const steps: (() => void)[] = [];
    const { snapshot } = write;
    if (snapshot !== undefined) {
      steps.push(() => {
        this.base = snapshot;
        this.snapshot = data;
        this.entries = [];
      });
    }
    steps.push(() => {
      if (write.truncateAfter !== undefined)
        this.entries.length = Math.min(
          this.entries.length,
          Math.max(0, write.truncateAfter - this.base.last.index),
        );
      this.entries.push(...write.entries);
      if (write.hardState !== undefined) this.hardState = write.hardState;
    });
    this.#begin({ steps, done });
  }

  /** A snapshot of the member's own machine: replaces the entries up to its mark, and nothing when it is old. */
  saveSnapshot(mark: SnapshotMark, data: Uint8Array, done: () => void): void {
    const step = (): void => {
      const dropped = mark.last.index - this.base.last.index;
      if (dropped <= 0) return;
      this.entries = this.entries.slice(dropped);
      this.base = mark;
      this.snapshot = data;
    };
    this.#begin({ steps: [step], done });
  }

  /** Power or process is gone: of what was not completed, the first steps may be there. */
  crash(random: () => number): void {
    for (const job of this.#jobs) {
      const count = Math.floor(random() * (job.steps.length + 1));
      for (const step of job.steps.slice(0, count)) step();
    }
    this.#jobs.clear();
    this.#waiting.length = 0;
  }

  become(mode: DiskMode): void {
    this.mode = mode;
    if (mode === "hung" || mode === "full") return;
    for (const job of this.#waiting.splice(0)) this.#run(job, mode);
  }

  #begin(job: Job): void {
    this.#jobs.add(job);
    if (this.mode === "works" || this.mode === "slow") this.#run(job, this.mode);
    else this.#waiting.push(job);
  }

  #run(job: Job, mode: "works" | "slow"): void {
    this.#schedule(mode, () => {
      if (!this.#jobs.has(job)) return;
      if (this.mode === "hung") {
        this.#waiting.push(job);
        return;
      }
      this.#jobs.delete(job);
      for (const step of job.steps) step();
      job.done();
    });
  }
}
