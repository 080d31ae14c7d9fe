import type { Clock } from "../common/clock.js";
import { messageOf } from "../common/errors.js";
import type { Logger } from "../common/logger.js";
import type { ReplicatedLog } from "./log/replicated-log.js";
import type { StateMachine } from "./state/machine.js";

/** Large entries (cuts with many ballots, configurations) call for a snapshot before there are many. */
const SNAPSHOT_AFTER_BYTES = 32 * 1024 * 1024;
/** Where little happens, a restart does not go through the entries of weeks either: this is a day. */
const SNAPSHOT_AFTER_MS = 24 * 3_600_000;

export type SnapshotterOptions = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly snapshotEntries: number;
};

/** Takes snapshots often enough that the log stays short, without holding up what else this process does. */
export class Snapshotter {
  readonly #log: ReplicatedLog;
  readonly #machine: StateMachine;
  readonly #options: SnapshotterOptions;
  #entries: number;
  #bytes = 0;
  #savedAtMs: number;
  #saving: Promise<void> | null = null;

  constructor(log: ReplicatedLog, machine: StateMachine, options: SnapshotterOptions) {
    this.#log = log;
    this.#machine = machine;
    this.#options = options;
    this.#entries = 0;
    this.#savedAtMs = options.clock.monotonicMs();
  }

  onApplied(bytes: number): void {
    this.#entries++;
    this.#bytes += bytes;
    const { clock, snapshotEntries } = this.#options;
    const isDue =
      this.#entries >= snapshotEntries ||
      this.#bytes >= SNAPSHOT_AFTER_BYTES ||
      clock.monotonicMs() - this.#savedAtMs >= SNAPSHOT_AFTER_MS;
    if (!isDue || this.#saving !== null) return;
    // A failure of the disk shows in the log itself; for want of space the next entries try again.
    this.save().catch((thrown: unknown) => {
      this.#options.logger.warn("replica.snapshot_failed", { error: messageOf(thrown) });
    });
  }

  /** One at a time; whoever asks while one is being taken gets the next. */
  async save(): Promise<void> {
    while (this.#saving !== null) await this.#saving.catch(() => undefined);
    const saving = this.#save().finally(() => (this.#saving = null));
    this.#saving = saving;
    await saving;
  }

  async settled(): Promise<void> {
    await this.#saving?.catch(() => undefined);
  }

  async #save(): Promise<void> {
    const { clock, logger } = this.#options;
    const { index, term } = this.#machine.view;
    if (index < this.#log.status().firstIndex) return;
    const startedAtMs = clock.monotonicMs();
    this.#entries = 0;
    this.#bytes = 0;
    this.#savedAtMs = startedAtMs;
    const pieces: Uint8Array[] = [];
    for (const piece of this.#machine.capture()) {
      pieces.push(piece);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const data = Buffer.concat(pieces);
    await this.#log.saveSnapshot({ last: { index, term }, data });
    const durationMs = Math.round(clock.monotonicMs() - startedAtMs);
    logger.info("replica.snapshot_saved", { index, bytes: data.length, durationMs });
  }
}
