import { ulid } from "ulid";
import type { Clock } from "../common/clock.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
import type { Logger } from "../common/logger.js";
import type { ReplicatedLog } from "./log/replicated-log.js";
import { packPayload, unpackPayload } from "./log-payload.js";
import type { AppliedEntry, Replica } from "./replica.js";
import { Snapshotter } from "./replica-snapshots.js";
import { encodeCommand } from "./state/codec.js";
import type { CommandResult } from "./state/commands.js";
import { allows, commonLevel } from "./state/features.js";
import { StateMachine } from "./state/machine.js";

export type ReplicaOptions = {
  readonly log: ReplicatedLog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Entries applied before a snapshot replaces them (`coordinator.snapshotEntries`). */
  readonly snapshotEntries: number;
  /**
   * The replica has stopped for good: the log failed, or an entry cannot be applied by this version. The
   * process should end; a restart begins from what is durable.
   */
  readonly onFailure: (error: unknown) => void;
};

export type OpenReplica = Replica & {
  /** Takes a snapshot now, whatever the number of entries. */
  readonly saveSnapshot: () => Promise<void>;
  /** Stops applying. The log stays open: whoever opened it closes it. */
  readonly close: () => Promise<void>;
};

/** Results kept for proposers that have not learned their index yet; far more than are ever in flight. */
const MAX_OUTCOMES = 65_536;

/**
 * Binds the state machine to a log: restores the newest snapshot, applies every committed entry in order,
 * and answers proposers with what applying said. Resolves when everything committed so far is applied.
 * @throws ClusterduckError LOG_CORRUPT, VERSION_UNSUPPORTED, DISK_FAILED.
 */
export async function openReplica(options: ReplicaOptions): Promise<OpenReplica> {
  const { log } = options;
  const snapshot = await log.loadSnapshot();
  const machine = snapshot === null ? new StateMachine() : StateMachine.restore(snapshot.data);
  const replica = new LogReplica(options, machine);
  await replica.start(log.status().commitIndex);
  return replica;
}

/** Gives a new tier its identity; does nothing where it has one. Only the leader can. */
export async function ensureInitialised(replica: Replica): Promise<string> {
  if (replica.state.clusterId === "") {
    // Two leaders in a row may both try: the first entry counts, and the second is refused.
    await replica.propose({ type: "initialise", clusterId: ulid() }, "leader");
  }
  return replica.state.clusterId;
}

/** Whatever all members know may be used from now on. Only the leader can. */
export async function raiseFeatureLevel(replica: Replica, version: string): Promise<void> {
  const { members, featureLevel } = replica.state;
  const level = commonLevel(members);
  if (level <= featureLevel.level) return;
  await replica.propose({ type: "raiseFeatureLevel", level, version }, "leader");
}

class LogReplica implements OpenReplica {
  readonly #options: ReplicaOptions;
  readonly #machine: StateMachine;
  readonly #snapshotter: Snapshotter;
  readonly #listeners = new Set<(applied: AppliedEntry) => void>();
  readonly #replacedListeners = new Set<() => void>();
  readonly #abort = new AbortController();
  /** Outcomes of entries that were applied before their proposer learned their index. */
  readonly #outcomes = new Map<number, CommandResult>();
  #proposing = 0;
  /** By index, those who wait until it is applied. */
  readonly #waiters: { readonly index: number; readonly wake: (error: Error | null) => void }[] = [];
  #running: Promise<void> = Promise.resolve();
  #failure: Error | null = null;

  constructor(options: ReplicaOptions, machine: StateMachine) {
    this.#options = options;
    this.#machine = machine;
    this.#snapshotter = new Snapshotter(options.log, machine, options);
  }

  get state(): Replica["state"] {
    return this.#machine.view;
  }

  async start(commitIndex: number): Promise<void> {
    let hasStarted = false;
    const fail = (thrown: unknown): void => {
      this.#stop(thrown);
      if (!hasStarted) return;
      this.#options.logger.error("replica.failed", { index: this.state.index, error: thrown });
      this.#options.onFailure(thrown);
    };
    this.#running = this.#run().then(() => this.#stop(stopping()), fail);
    await this.#applied(commitIndex);
    hasStarted = true;
  }

  async propose(
    ...[command, by, requestId = ""]: Parameters<Replica["propose"]>
  ): ReturnType<Replica["propose"]> {
    this.#refuseWhenStopped();
    const stamped = { atMs: this.#options.clock.wallMs(), by, command };
    const isNamed = requestId !== "" && allows(this.state, "requestIds");
    const payload = packPayload(encodeCommand(isNamed ? { ...stamped, requestId } : stamped));
    this.#proposing++;
    try {
      const position = await this.#options.log.propose(payload);
      await this.#applied(position.index);
      const result = this.#outcomes.get(position.index);
      this.#outcomes.delete(position.index);
      if (result === undefined) {
        // A snapshot of another member has brought the state past this entry.
        throw new ClusterduckError(
          "STOPPING",
          `Entry ${position.index} is committed, but its result is not known here`,
        );
      }
      return { result, position };
    } finally {
      this.#proposing--;
      if (this.#proposing === 0) this.#outcomes.clear();
    }
  }

  onApplied(callback: (applied: AppliedEntry) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  onReplaced(callback: () => void): () => void {
    this.#replacedListeners.add(callback);
    return () => this.#replacedListeners.delete(callback);
  }

  async readBarrier(): Promise<void> {
    this.#refuseWhenStopped();
    await this.#applied(await this.#options.log.readBarrier());
  }

  saveSnapshot(): Promise<void> {
    return this.#snapshotter.save();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    await this.#snapshotter.settled();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        for await (const entry of this.#options.log.entries(this.state.index, signal)) {
          const { index, term, payload } = entry;
          this.#take(this.#machine.apply({ index, term, payload: unpackPayload(payload) }), payload.length);
        }
        // The log has been closed, or we have.
        return;
      } catch (thrown) {
        if (!(thrown instanceof ClusterduckError && thrown.code === "CONFLICT")) throw thrown;
        await this.#loadSnapshot(thrown);
      }
    }
  }

  #take(applied: AppliedEntry, bytes: number): void {
    const { index } = applied.position;
    if (this.#proposing > 0) this.#keepOutcome(index, applied.result);
    for (const listener of this.#listeners) this.#tell(() => listener(applied));
    this.#wake(index);
    this.#snapshotter.onApplied(bytes);
  }

  #tell(listener: () => void): void {
    try {
      listener();
    } catch (thrown) {
      // A listener's mistake must not keep the others, or later entries, from being applied.
      this.#options.logger.error("replica.listener_failed", { index: this.state.index, error: thrown });
    }
  }

  #keepOutcome(index: number, result: CommandResult): void {
    this.#outcomes.set(index, result);
    for (const oldest of this.#outcomes.keys()) {
      if (this.#outcomes.size <= MAX_OUTCOMES) break;
      this.#outcomes.delete(oldest);
    }
  }

  /** The entries after our state are gone from the log: its snapshot takes their place. */
  async #loadSnapshot(reason: ClusterduckError): Promise<void> {
    const snapshot = await this.#options.log.loadSnapshot();
    if (snapshot === null || snapshot.last.index <= this.state.index) throw reason;
    this.#machine.load(snapshot.data);
    this.#options.logger.info("replica.snapshot_loaded", { index: snapshot.last.index });
    for (const listener of this.#replacedListeners) this.#tell(listener);
    this.#wake(snapshot.last.index);
  }

  async #applied(index: number): Promise<void> {
    if (this.state.index >= index) return;
    if (this.#failure !== null) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      const wake = (error: Error | null): void => (error === null ? resolve() : reject(error));
      this.#waiters.push({ index, wake });
    });
  }

  #wake(index: number): void {
    for (let at = 0; at < this.#waiters.length;) {
      const waiter = this.#waiters[at];
      if (waiter !== undefined && waiter.index <= index) {
        this.#waiters.splice(at, 1);
        waiter.wake(null);
      } else {
        at++;
      }
    }
  }

  #stop(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    this.#failure ??= error;
    for (const { wake } of this.#waiters.splice(0)) wake(error);
  }

  #refuseWhenStopped(): void {
    if (this.#failure === null) return;
    if (this.#failure instanceof ClusterduckError) throw this.#failure;
    throw new ClusterduckError("STOPPING", `The coordinator has stopped: ${messageOf(this.#failure)}`, {
      cause: this.#failure,
    });
  }
}

function stopping(): ClusterduckError {
  return new ClusterduckError("STOPPING", "The coordinator is stopping");
}
