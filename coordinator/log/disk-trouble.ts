import type { Clock } from "../../common/clock.js";
import type { ClusterduckError } from "../../common/errors.js";
import type { PeerProblem } from "./replicated-log.js";

/** What keeps a member's own disk from what the tier needs of it. */
export type DiskTrouble = PeerProblem & {
  readonly kind: "disk-full" | "disk-slow";
  /** Unix milliseconds, by that member's clock. */
  readonly sinceMs: number;
};

/** A write that takes longer costs a leader its office, and makes a follower look away. Milliseconds. */
const SLOW_WRITE_MS = 2_000;
/** A disk that stalls again within this time is still in the same trouble. Milliseconds. */
const REMEMBERED_MS = 10_000;

/** Watches the writes of one log, one at a time, for trouble with the disk below them. */
export class DiskWatch {
  readonly #directory: string;
  readonly #clock: Clock;
  /** Monotonic milliseconds; null: nothing is being written. */
  #begunAtMs: number | null = null;
  #slow: { readonly sinceMs: number; readonly endedAtMs: number; readonly tookMs: number } | null = null;
  #full: { readonly sinceMs: number; readonly error: ClusterduckError } | null = null;

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** Not null while there is no room for what should be written. */
  get full(): ClusterduckError | null {
    return this.#full?.error ?? null;
  }

  begun(): void {
    this.#begunAtMs = this.#clock.monotonicMs();
  }

  /** Nothing was written. */
  refused(error: ClusterduckError): void {
    this.#begunAtMs = null;
    this.#slow = null;
    this.#full = { sinceMs: this.#full?.sinceMs ?? this.#clock.wallMs(), error };
  }

  ended(): void {
    const nowMs = this.#clock.monotonicMs();
    const tookMs = nowMs - (this.#begunAtMs ?? nowMs);
    if (tookMs >= SLOW_WRITE_MS)
      this.#slow = { sinceMs: this.#slowSinceMs(tookMs), endedAtMs: nowMs, tookMs };
    this.#begunAtMs = null;
    this.#full = null;
  }

  /** Null: none. */
  get trouble(): DiskTrouble | null {
    if (this.#full !== null) {
      const { sinceMs, error } = this.#full;
      const message = `Its disk is full since ${timeOf(sinceMs)}: ${error.message}`;
      return { kind: "disk-full", sinceMs, message, hint: error.hint ?? "Free space on that file system" };
    }
    const runsMs = this.#begunAtMs === null ? 0 : this.#clock.monotonicMs() - this.#begunAtMs;
    if (runsMs >= SLOW_WRITE_MS)
      return this.#slowness(this.#slowSinceMs(runsMs), `has not ended for ${seconds(runsMs)}`);
    const slow = this.#recentlySlow;
    return slow === null ? null : this.#slowness(slow.sinceMs, `took ${seconds(slow.tookMs)}`);
  }

  get #recentlySlow() {
    const slow = this.#slow;
    return slow !== null && this.#clock.monotonicMs() - slow.endedAtMs < REMEMBERED_MS ? slow : null;
  }

  /** `runsMs`: how long ago the slow write in question began. */
  #slowSinceMs(runsMs: number): number {
    const slow = this.#slow;
    const begunAtMs = this.#clock.monotonicMs() - runsMs;
    const isSame = slow !== null && begunAtMs - slow.endedAtMs < REMEMBERED_MS;
    return isSame ? slow.sinceMs : Math.round(this.#clock.wallMs() - runsMs);
  }

  #slowness(sinceMs: number, what: string): DiskTrouble {
    return {
      kind: "disk-slow",
      sinceMs,
      message: `Its disk hangs or is slow since ${timeOf(sinceMs)}: a write to the log in "${this.#directory}" ${what}`,
      hint: "Look at that disk, and at what else uses it (dmesg, iostat): once writes end again, it takes part by itself",
    };
  }
}

function timeOf(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
