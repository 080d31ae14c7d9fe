import { ClusterduckError } from "../../common/errors.js";
import type { LogEntry } from "./replicated-log.js";

/** Where committed entries can be read from. */
export type EntrySource = {
  readonly commitIndex: () => number;
  /** Index that the first entry there follows. */
  readonly baseIndex: () => number;
  readonly entry: (index: number) => LogEntry | undefined;
};

/** Hands committed entries to readers, each at its own pace. */
export class CommittedEntries {
  readonly #source: EntrySource;
  readonly #waiting = new Set<() => void>();
  #end: { readonly error: ClusterduckError | null } | null = null;

  constructor(source: EntrySource) {
    this.#source = source;
  }

  /** Call it when the commit index has grown. */
  advance(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Readers end after what is committed: quietly, or with an error. */
  close(error: ClusterduckError | null): void {
    this.#end ??= { error };
    this.advance();
  }

  /** As `ReplicatedLog.entries`. */
  async *read(afterIndex: number, signal: AbortSignal): AsyncGenerator<LogEntry> {
    let index = afterIndex;
    const onAbort = (): void => this.advance();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        if (index < this.#source.baseIndex()) throw replaced(index + 1, this.#source.baseIndex());
        if (index < this.#source.commitIndex()) {
          const entry = this.#source.entry(index + 1);
          if (entry === undefined) throw new Error(`Committed entry ${index + 1} is not in the log`);
          index++;
          yield entry;
        } else if (this.#end !== null) {
          if (this.#end.error !== null) throw this.#end.error;
          return;
        } else {
          await new Promise<void>((resolve) => this.#waiting.add(resolve));
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}

function replaced(wanted: number, baseIndex: number): ClusterduckError {
  return new ClusterduckError(
    "CONFLICT",
    `Cannot read log entry ${wanted}: a snapshot has replaced the entries up to ${baseIndex}`,
    { hint: "Load the snapshot, then read on from its index" },
  );
}
