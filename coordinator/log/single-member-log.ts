import type { Clock } from "../../common/clock.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import { CommittedEntries } from "./committed-entries.js";
import type { Leadership, LogPosition, ReplicatedLog } from "./replicated-log.js";
import { realDisk } from "./storage/disk.js";
import type { Disk } from "./storage/disk.js";
import { LogStorage, MAX_ENTRY_BYTES, storedBytes } from "./storage/log-storage.js";

/** Proposals that share one write and one sync. Beyond this the next write takes them. */
const BATCH_BYTES = 4 * 1024 * 1024;

export type SingleMemberLogOptions = {
  /** Data directory, made if there is none. */
  readonly dir: string;
  readonly memberId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly disk?: Disk;
  /** Size of one log segment, of which two or more are on the disk. Default 8 MiB. */
  readonly segmentBytes?: number;
  /** Space that the log leaves free on its file system. Default 32 MiB. */
  readonly reserveBytes?: number;
};

type Proposal = {
  readonly payload: Uint8Array;
  readonly resolve: (position: LogPosition) => void;
  readonly reject: (error: unknown) => void;
};

/**
 * The durable log of a tier of one. It elects itself at once, in a new term, so that its fencing tokens
 * grow with every start; it acknowledges what its own disk has synced. Proposals that arrive while a sync
 * runs share the next one.
 * @throws ClusterduckError as `LogStorage.open`.
 */
export async function openSingleMemberLog(options: SingleMemberLogOptions): Promise<ReplicatedLog> {
  const { memberId, clock, logger, disk = realDisk } = options;
  const storage = await LogStorage.open({
    directory: options.dir,
    memberId,
    clusterId: "",
    disk,
    clock,
    logger,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
    ...(options.reserveBytes === undefined ? {} : { reserveBytes: options.reserveBytes }),
  });
  try {
    const term = storage.hardState.term + 1;
    // Whatever an earlier start wrote whole counts as committed: no other member could know better.
    const index = storage.last.index + 1;
    await storage.append({
      entries: [{ index, term, kind: "noop", payload: new Uint8Array(0) }],
      hardState: { term, vote: memberId, commit: index - 1 },
    });
    logger.info("log.opened", { directory: options.dir, term, index, snapshot: storage.base.index });
    return new SingleMemberLog(storage, memberId, term);
  } catch (thrown) {
    await storage.close();
    throw thrown;
  }
}

class SingleMemberLog implements ReplicatedLog {
  readonly #storage: LogStorage;
  readonly #memberId: string;
  readonly #term: number;
  readonly #committed: CommittedEntries;
  readonly #listeners = new Set<(leadership: Leadership) => void>();
  #queue: Proposal[] = [];
  /** Null while nothing is being written. */
  #writing: Promise<void> | null = null;
  #isStopping = false;
  #closing: Promise<void> | null = null;

  constructor(storage: LogStorage, memberId: string, term: number) {
    this.#storage = storage;
    this.#memberId = memberId;
    this.#term = term;
    this.#committed = new CommittedEntries({
      commitIndex: () => storage.last.index,
      baseIndex: () => storage.base.index,
      entry: (index) => storage.entry(index),
    });
  }

  async propose(payload: Uint8Array): Promise<LogPosition> {
    if (this.#storage.failure !== null) throw this.#failed(this.#storage.failure);
    if (this.#isStopping) throw stopping();
    if (payload.length > MAX_ENTRY_BYTES) {
      throw new ClusterduckError(
        "INVALID_ARGUMENT",
        `Cannot propose ${payload.length} bytes: one entry may have at most ${MAX_ENTRY_BYTES}`,
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ payload, resolve, reject });
      this.#writing ??= this.#writeQueue();
    });
  }

  entries(afterIndex: number, signal: AbortSignal): ReturnType<CommittedEntries["read"]> {
    return this.#committed.read(afterIndex, signal);
  }

  async readBarrier(): Promise<number> {
    if (this.#storage.failure !== null) throw this.#failed(this.#storage.failure);
    if (this.#isStopping) throw stopping();
    return this.#storage.last.index;
  }

  loadSnapshot: ReplicatedLog["loadSnapshot"] = () => this.#storage.loadSnapshot();

  saveSnapshot: ReplicatedLog["saveSnapshot"] = async (snapshot) => {
    try {
      await this.#storage.saveSnapshot(snapshot, [{ id: this.#memberId, role: "voter", address: "" }]);
    } catch (thrown) {
      if (this.#storage.failure !== null) this.#onFailure(this.#storage.failure);
      throw thrown;
    }
  };

  leadership(): Leadership {
    const isLeader = this.#storage.failure === null && !this.#isStopping;
    return { leaderId: isLeader ? this.#memberId : null, term: this.#term, isLeader };
  }

  onLeadership(callback: (leadership: Leadership) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  members(): readonly string[] {
    return [this.#memberId];
  }

  status(): ReturnType<ReplicatedLog["status"]> {
    const { last, base, bytes } = this.#storage;
    const own = {
      id: this.#memberId,
      role: "voter",
      address: "",
      silentMs: 0,
      matchIndex: last.index,
    } as const;
    return { commitIndex: last.index, firstIndex: base.index + 1, bytes, peers: [own] };
  }

  changeMembership(): Promise<void> {
    return Promise.reject(alone("Cannot change the members"));
  }

  transferLeadership(): Promise<void> {
    return Promise.reject(alone("Cannot transfer leadership"));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isStopping = true;
    this.#rejectQueue(stopping());
    this.#announce();
    await this.#writing;
    await this.#storage.close();
    this.#committed.close(null);
  }

  async #writeQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      // One turn of the event loop: those who were just answered, and everything that has already
      // arrived, get into the same write.
      await new Promise<void>((resolve) => setImmediate(resolve));
      await this.#writeBatch(this.#takeBatch());
    }
    this.#writing = null;
  }

  #takeBatch(): readonly Proposal[] {
    let bytes = 0;
    let count = 0;
    for (const { payload } of this.#queue) {
      bytes += storedBytes(payload);
      if (count > 0 && bytes > BATCH_BYTES) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #writeBatch(batch: readonly Proposal[]): Promise<void> {
    if (batch.length === 0) return;
    const term = this.#term;
    const firstIndex = this.#storage.last.index + 1;
    const entries = batch.map(({ payload }, at) => ({
      index: firstIndex + at,
      term,
      kind: "command" as const,
      payload,
    }));
    try {
      await this.#storage.append({ entries });
    } catch (thrown) {
      for (const proposal of batch) proposal.reject(thrown);
      if (this.#storage.failure !== null) this.#onFailure(this.#storage.failure);
      return;
    }
    this.#committed.advance();
    for (const [at, proposal] of batch.entries()) proposal.resolve({ index: firstIndex + at, term });
  }

  #onFailure(failure: ClusterduckError): void {
    this.#rejectQueue(this.#failed(failure));
    this.#committed.close(failure);
    this.#announce();
  }

  #rejectQueue(error: ClusterduckError): void {
    for (const proposal of this.#queue) proposal.reject(error);
    this.#queue = [];
  }

  #announce(): void {
    const leadership = this.leadership();
    for (const listener of this.#listeners) listener(leadership);
  }

  #failed(failure: ClusterduckError): ClusterduckError {
    return new ClusterduckError(
      "DISK_FAILED",
      `Cannot propose: the log has stopped after a failure (${messageOf(failure)})`,
      { cause: failure, ...(failure.hint === undefined ? {} : { hint: failure.hint }) },
    );
  }
}

function alone(action: string): ClusterduckError {
  return new ClusterduckError("CONFLICT", `${action}: this coordinator stands alone`, {
    hint: "Give it an address for others, `transports: [{type: raft, address: HOST:PORT}]`, and start it again",
  });
}

function stopping(): ClusterduckError {
  return new ClusterduckError("STOPPING", "Cannot propose: the coordinator is stopping");
}
