import { RAFT_DEFAULTS } from "../../../coordinator/raft/config.js";
import type { RaftConfig } from "../../../coordinator/raft/config.js";
import { RaftCore } from "../../../coordinator/raft/core.js";
import { BEFORE_ALL } from "../../../coordinator/raft/entry.js";
import type { Entry } from "../../../coordinator/raft/entry.js";
import { NO_HARD_STATE } from "../../../coordinator/raft/hard-state.js";
import type { HardState } from "../../../coordinator/raft/hard-state.js";
import type { Membership } from "../../../coordinator/raft/membership.js";
import type { Message, SnapshotMark } from "../../../coordinator/raft/message.js";
import type { ForwardResult, LeadershipView, ReadOutcome, Write } from "../../../coordinator/raft/ready.js";

/** What the member's runner has learned from its core since it was last asked. */
export type Happening =
  | { readonly kind: "applied"; readonly entry: Entry }
  | { readonly kind: "installed"; readonly snapshot: SnapshotMark }
  | { readonly kind: "read"; readonly outcome: ReadOutcome }
  | { readonly kind: "forwarded"; readonly result: ForwardResult }
  | { readonly kind: "leadership"; readonly view: LeadershipView };

export type TierMemberOptions = {
  readonly id: string;
  readonly membership: Membership;
  /** Share of the chance part of its election timeouts, from 0 to below 1. */
  readonly patience: number;
  readonly config: Partial<RaftConfig>;
  readonly send: (message: Message) => void;
};

/** A core with a runner that follows the contract of `Ready`, and a disk in memory that survives a crash. */
export class TierMember {
  readonly id: string;
  readonly #options: TierMemberOptions;
  readonly disk: { hardState: HardState; base: SnapshotMark; entries: readonly Entry[] };
  #core: RaftCore;
  #write: Write | null = null;
  #happenings: Happening[] = [];
  /** A slow disk finishes a write only when it is told to. */
  isDiskSlow = false;
  isDown = false;

  constructor(options: TierMemberOptions) {
    this.id = options.id;
    this.#options = options;
    this.disk = {
      hardState: NO_HARD_STATE,
      base: { last: BEFORE_ALL, membership: options.membership },
      entries: [],
    };
    this.#core = this.#start();
  }

  get core(): RaftCore {
    return this.#core;
  }

  get isWriting(): boolean {
    return this.#write !== null;
  }

  /** Does what the core wants, until it wants nothing more or the disk is slow. */
  run(): void {
    if (this.isDown) return;
    for (;;) {
      const ready = this.#core.ready();
      for (const message of ready.messages) this.#options.send(message);
      for (const outcome of ready.reads) this.#happenings.push({ kind: "read", outcome });
      for (const result of ready.forwarded) this.#happenings.push({ kind: "forwarded", result });
      if (ready.leadership !== null) {
        this.#happenings.push({ kind: "leadership", view: ready.leadership });
      }
      for (const entry of ready.committed) {
        this.#happenings.push({ kind: "applied", entry });
        this.#core.applied(entry.index);
      }
      if (ready.write !== null) this.#write = ready.write;
      if (this.#write !== null && !this.isDiskSlow) this.#finishWrite(this.#write);
      else if (ready.committed.length === 0) return;
    }
  }

  /** Ends the running write of a slow disk. */
  persist(): void {
    if (this.#write !== null) this.#finishWrite(this.#write);
    this.run();
  }

  takeHappenings(): readonly Happening[] {
    return this.#happenings.splice(0);
  }

  /** Takes a snapshot of what is applied, and keeps so many of the entries before. */
  snapshot(keptEntries: number): void {
    const { applied } = this.#core.status();
    const mark = this.#core.markAt(applied);
    this.disk.entries = this.disk.entries.filter((entry) => entry.index > mark.last.index);
    this.disk.base = mark;
    this.#core.compact(Math.max(this.#core.base.index, applied - keptEntries), mark.last);
  }

  /** Whatever is not on the disk is gone. */
  crash(): void {
    this.isDown = true;
    this.#write = null;
    this.#happenings = [];
  }

  restart(): void {
    this.isDown = false;
    this.#core = this.#start();
  }

  /** Comes back with an empty disk, told `membership`. */
  wipe(membership: Membership): void {
    this.disk.hardState = NO_HARD_STATE;
    this.disk.base = { last: BEFORE_ALL, membership };
    this.disk.entries = [];
    this.restart();
  }

  #start(): RaftCore {
    const { id, patience, config } = this.#options;
    const defaults = { ...RAFT_DEFAULTS, heartbeatTicks: 1, electionTicks: 10 };
    return new RaftCore({ ...defaults, ...config, id, random: () => patience }, this.disk);
  }

  #finishWrite(write: Write): void {
    this.#write = null;
    if (write.snapshot !== undefined) {
      this.disk.base = write.snapshot;
      this.disk.entries = [];
      this.#happenings.push({ kind: "installed", snapshot: write.snapshot });
    }
    const kept = this.disk.entries.filter((entry) => entry.index <= (write.truncateAfter ?? Infinity));
    this.disk.entries = [...kept, ...write.entries];
    if (write.hardState !== undefined) this.disk.hardState = write.hardState;
    for (const message of write.messages) this.#options.send(message);
    this.#core.persisted(write.id);
    if (write.snapshot !== undefined) this.#core.applied(write.snapshot.last.index);
  }
}
