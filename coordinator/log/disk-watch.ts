import type { Clock } from "../../common/clock.js";
import type { ClusterduckError } from "../../common/errors.js";
import type { MemberTrouble } from "./replicated-log.js";

export type DiskWatchOptions = {
  /** Of the log, for the words. */
  readonly directory: string;
  /** A write that takes longer is trouble, milliseconds. */
  readonly slowAfterMs: number;
  readonly clock: Clock;
};

/** Watches the writes of one log, one at a time, for trouble with the disk below them. */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  /** When the write that is under way began; null: there is none. */
  #begun: { readonly monotonicMs: number; readonly wallMs: number } | null = null;
  #full: { readonly sinceMs: number; readonly error: ClusterduckError } | null = null;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  /** Not null while there is no room for what should be written. */
  get full(): ClusterduckError | null {
    return this.#full?.error ?? null;
  }

  begun(): void {
    const { clock } = this.#options;
    this.#begun = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
  }

  /** Nothing was written, for want of space. */
  refused(error: ClusterduckError): void {
    this.#begun = null;
    this.#full = { sinceMs: this.#full?.sinceMs ?? this.#options.clock.wallMs(), error };
  }

  /** Also where it failed for good: that is no trouble of a disk which will be over. */
  ended(): void {
    this.#begun = null;
    this.#full = null;
  }

  /** What keeps the log from answering now; null: nothing. */
  get trouble(): MemberTrouble | null {
    return this.#full === null ? this.#slowness() : fullness(this.#full);
  }

  #slowness(): MemberTrouble | null {
    const { directory, slowAfterMs, clock } = this.#options;
    if (this.#begun === null) return null;
    const runsMs = clock.monotonicMs() - this.#begun.monotonicMs;
    if (runsMs < slowAfterMs) return null;
    const sinceMs = this.#begun.wallMs;
    return {
      kind: "disk-slow",
      sinceMs,
      message: `Its disk hangs or is slow since ${timeOf(sinceMs)}: a write to the log in "${directory}" has not ended for ${Math.round(runsMs / 1000)} s`,
      hint: "Look at that disk, and at what else uses it (dmesg, iostat): once writes end again, it takes part by itself",
    };
  }
}

function fullness({ sinceMs, error }: { readonly sinceMs: number; readonly error: ClusterduckError }) {
  const message = `Its disk is full since ${timeOf(sinceMs)}: ${error.message}`;
  return { kind: "disk-full", sinceMs, message, hint: error.hint ?? "Free space on that file system" };
}

function timeOf(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
