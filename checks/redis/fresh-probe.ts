import type { Clock } from "../../common/clock.js";
import type { Reason } from "../../common/model/observation.js";
import type { RedisConnection } from "./connection.js";
import { findingOfError, type Finding } from "./replies.js";

/** A new connection is tried in one of so many runs: it costs about five times what a run does. */
export const FRESH_EVERY_RUNS = 30;
/** A new connection that goes unanswered may be packet loss; only the server's own word counts at once. */
const MISSES_TO_REPORT = 2;

export type Complaint = { readonly outcome: "degraded"; readonly reason: Reason; readonly detail: string };

/**
 * Tries now and then whether the service still takes new connections, which an open one cannot tell: full
 * backlogs, client limits, a listener that is gone. Runs beside the check's runs and never delays them;
 * what it finds shows from the next run on, until a new connection works again.
 */
export class FreshProbe {
  readonly #make: () => RedisConnection;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onLost: () => void;
  #current: RedisConnection | null = null;
  #runs = 0;
  #misses = 0;
  #complaint: Complaint | null = null;
  #isClosed = false;

  constructor(options: { make: () => RedisConnection; clock: Clock; timeoutMs: number; onLost: () => void }) {
    this.#make = options.make;
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#onLost = options.onLost;
  }

  /** What is wrong with new connections; null: nothing known to be. */
  get complaint(): Complaint | null {
    return this.#complaint;
  }

  /** Counts a run of the check, and starts a probe when one is due: more often while one failed. */
  onRun(): void {
    this.#runs++;
    const isDue = this.#runs >= FRESH_EVERY_RUNS || this.#misses > 0;
    if (!isDue || this.#current !== null || this.#isClosed) return;
    this.#runs = 0;
    void this.#probe();
  }

  /** A run opened a connection itself, so the next probe can wait. */
  onOpened(): void {
    this.#runs = 0;
    this.#settle(null);
  }

  close(): void {
    this.#isClosed = true;
    this.#current?.destroy();
  }

  /** Never rejects. */
  async #probe(): Promise<void> {
    const connection = this.#make();
    this.#current = connection;
    let hasTimedOut = false;
    const cancel = this.#clock.after(this.#timeoutMs, () => {
      hasTimedOut = true;
      connection.destroy();
    });
    try {
      // The handshake asks for a reply.
      await connection.open();
      this.#settle(null);
    } catch (thrown) {
      if (!this.#isClosed) this.#onFailure(hasTimedOut ? timedOut(this.#timeoutMs) : findingOfError(thrown));
    } finally {
      cancel();
      connection.destroy();
      this.#current = null;
    }
  }

  #onFailure(finding: Finding): void {
    // LOADING, NOAUTH and the like came over a new connection: new connections work.
    const isTaken = finding.outcome === "passed" || !CONNECTION_REASONS.has(finding.reason);
    if (isTaken) return this.#settle(null);
    const { reason, detail } = finding;
    this.#settle({ outcome: "degraded", reason, detail: `a new connection failed: ${detail}` });
    if (reason === "refused") this.#onLost();
  }

  #settle(complaint: Complaint | null): void {
    this.#misses = complaint === null ? 0 : this.#misses + 1;
    const isBelieved = complaint?.reason === "connectionLimit" || this.#misses >= MISSES_TO_REPORT;
    this.#complaint = isBelieved ? complaint : null;
  }
}

const CONNECTION_REASONS: ReadonlySet<string> = new Set([
  "connectionLimit",
  "timedOut",
  "refused",
  "reset",
  "closed",
  "unreachable",
]);

function timedOut(timeoutMs: number): Finding {
  return { outcome: "failed", reason: "timedOut", detail: `no answer within ${timeoutMs} ms` };
}
