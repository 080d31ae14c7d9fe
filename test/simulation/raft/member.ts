import { BEFORE_ALL } from "../../../coordinator/raft/entry.js";
import type { Entry } from "../../../coordinator/raft/entry.js";
import { InvariantViolation } from "../../../coordinator/raft/invariant.js";
import type { RaftConfig } from "../../../coordinator/raft/config.js";
import type { Message, RequestId, SnapshotMark } from "../../../coordinator/raft/message.js";
import { RaftCore } from "../../../coordinator/raft/core.js";
import { isIdle } from "../../../coordinator/raft/ready.js";
import type { ForwardResult, ReadOutcome, Ready, Write } from "../../../coordinator/raft/ready.js";
import type { Random } from "../../../common/random.js";
import type { Value } from "../../support/linearizability/history.js";
import type { Timeline } from "../health/timeline.js";
import type { Attempt } from "./client.js";
import { MemberDisk } from "./disk.js";
import { encodeCommand, Machine } from "./machine.js";
import type { Command, Result } from "./machine.js";
import type { Network } from "./network.js";
import type { Observed, Observer } from "./observer.js";
import { Violation } from "./violation.js";
import type { Trace } from "./trace.js";

export type MemberOptions = {
  readonly id: string;
  readonly config: Omit<RaftConfig, "id" | "random">;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly network: Network;
  readonly observer: Observer;
  readonly trace: Trace;
  /** One tick of this member's own clock. Milliseconds. */
  readonly tickMs: number;
  /** Longest pause between a call into the core and looking at what it wants, and before entries are applied. */
  readonly lazyMs: number;
  /** Entries between two snapshots. */
  readonly snapshotEntries: number;
  /** Ticks made up for at once after a stall. */
  readonly catchUpTicks: number;
  readonly onCrash: (id: string) => void;
};

type Waiting = { readonly term: number; readonly answer: (attempt: Attempt<Result>) => void };
type Read = {
  readonly key: string;
  readonly commitBefore: number;
  readonly answer: (attempt: Attempt<Value>) => void;
};

/** One member: the core, and a runner that keeps the contract of `Ready` in virtual time. */
export class Member implements Observed {
  readonly id: string;
  readonly disk: MemberDisk;
  core: RaftCore | null = null;
  machine = new Machine();
  readonly #options: MemberOptions;
  /** Counts starts; what was scheduled in an earlier life does nothing. */
  #life = 0;
  #isPaused = false;
  #inbox: (() => void)[] = [];
  #missedTicks = 0;
  #isReadyDue = false;
  #isSnapshotting = false;
  #toApply: Entry[] = [];
  #isApplying = false;
  /** Data of snapshots by index, until they are written: what arrives meanwhile may be an older one. */
  readonly #received = new Map<number, Uint8Array>();
  #waiting = new Map<number, Waiting[]>();
  #forwarded = new Map<number, (attempt: Attempt<Result>) => void>();
  #reads = new Map<number, Read>();
  #readsAt: { readonly index: number; readonly read: Read }[] = [];
  #requests = 0;

  constructor(options: MemberOptions) {
    this.id = options.id;
    this.#options = options;
    this.disk = new MemberDisk((mode, run) => {
      const usual = 0.2 + options.random() * 3;
      options.timeline.in(mode === "slow" ? usual * 100 : usual, run);
    });
  }

  get isUp(): boolean {
    return this.core !== null;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get isLeader(): boolean {
    return this.core?.role === "leader";
  }

  /** Begins with what the disk holds; refuses where a checksum fails. */
  start(): void {
    if (this.core !== null || this.disk.isDamaged) return;
    const { timeline, random, config, tickMs } = this.#options;
    const life = ++this.#life;
    const { hardState, base, entries } = this.disk;
    this.#log("starts", { hardState, base: base.last, last: this.disk.last });
    this.machine = new Machine();
    if (this.disk.snapshot !== null) this.machine.restore(this.disk.snapshot);
    const core = this.#guarded(
      () => new RaftCore({ ...config, id: this.id, random }, { hardState, base, entries: [...entries] }),
    );
    this.core = core;
    this.#options.observer.stepped(this);
    const tick = (): void => {
      if (life !== this.#life) return;
      if (this.#isPaused) this.#missedTicks++;
      else this.#call((running) => running.tick());
      timeline.in(tickMs, tick);
    };
    timeline.in(random() * tickMs, tick);
    this.#call(() => undefined);
  }

  /** The process ends at once, or the power goes. */
  crash(): void {
    if (this.core === null) return;
    this.#log("crashes");
    this.#life++;
    this.core = null;
    this.#isPaused = false;
    this.#inbox = [];
    this.#missedTicks = 0;
    this.#isReadyDue = this.#isSnapshotting = this.#isApplying = false;
    this.#toApply = [];
    this.#received.clear();
    this.#waiting.clear();
    this.#forwarded.clear();
    this.#reads.clear();
    this.#readsAt = [];
    this.disk.crash(this.#options.random);
    this.#options.observer.persisted(this);
    this.#options.onCrash(this.id);
  }

  /** As SIGSTOP, or a long garbage collection: time passes, nothing runs, messages wait. */
  pause(): void {
    if (this.core === null) return;
    this.#log("pauses");
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const ticks = Math.min(this.#missedTicks, this.#options.catchUpTicks);
    this.#log("resumes", { ticks, messages: this.#inbox.length });
    this.#missedTicks = 0;
    const inbox = this.#inbox;
    this.#inbox = [];
    const isTickFirst = this.#options.random() < 0.5;
    const tick = (): void => {
      for (let count = 0; count < ticks; count++) this.#call((core) => core.tick());
    };
    if (isTickFirst) tick();
    for (const handle of inbox) handle();
    if (!isTickFirst) tick();
  }

  receive(message: Message, attachment: Uint8Array | null): void {
    this.#whenAwake(() => {
      if (message.kind === "installSnapshot" && attachment !== null) {
        this.#received.set(message.last.index, attachment);
      }
      this.#log(`gets ${message.kind}`, message);
      this.#call((core) => core.step(message));
    });
  }

  /** Its connection to that member ends. */
  disconnected(id: string): void {
    this.#whenAwake(() => {
      this.#log(`loses its connection to ${id}`);
      this.#call((core) => core.reportDisconnected(id));
    });
  }

  submit(command: Command, answer: (attempt: Attempt<Result>) => void): void {
    this.#whenAwake(() => {
      const payload = encodeCommand(command);
      const leaderId = this.core?.leaderId ?? null;
      if (this.isLeader || leaderId === null || this.#options.random() < 0.5) {
        this.#propose(payload, answer, leaderId);
        return;
      }
      const sequence = ++this.#requests;
      this.#forwarded.set(sequence, answer);
      this.#call((core) => core.forward(this.#request(sequence), payload));
    });
  }

  read(key: string, answer: (attempt: Attempt<Value>) => void): void {
    this.#whenAwake(() => {
      const sequence = ++this.#requests;
      this.#reads.set(sequence, { key, answer, commitBefore: this.#options.observer.commit });
      this.#call((core) => core.readIndex(this.#request(sequence)));
    });
  }

  /** Anything that an operator asks of a running core. */
  ask(name: string, work: (core: RaftCore) => unknown): void {
    this.#whenAwake(() =>
      this.#call((core) => {
        const outcome = work(core);
        this.#log(name, outcome);
      }),
    );
  }

  /** Begins a snapshot of what is applied. */
  snapshot(): void {
    const { core, machine, disk } = this;
    if (core === null || this.#isSnapshotting || machine.appliedIndex <= disk.base.last.index) return;
    const index = machine.appliedIndex;
    // A snapshot of the leader is on its way to the disk.
    if (index < core.base.index) return;
    const mark = core.markAt(index);
    const life = this.#life;
    this.#isSnapshotting = true;
    this.#log("snapshots", mark.last);
    disk.saveSnapshot(mark, machine.save(), () => {
      if (life !== this.#life) return;
      this.#whenAwake(() => {
        this.#isSnapshotting = false;
        // A snapshot of the leader may have come in between.
        if (disk.base.last.index !== mark.last.index) return;
        const kept = Math.floor(this.#options.random() * 10);
        this.#call((running) => running.compact(Math.max(0, index - kept), mark.last));
      });
    });
  }

  #propose(payload: Uint8Array, answer: (attempt: Attempt<Result>) => void, leaderId: string | null): void {
    this.#call((core) => {
      const result = core.propose([payload]);
      if (result.isAccepted) this.#await(result.first.index, { term: result.first.term, answer });
      else answer({ kind: "refused", leaderId });
    });
  }

  #await(index: number, waiting: Waiting): void {
    // A forwarded command may be applied here before the leader's answer comes.
    if (index <= this.machine.appliedIndex) waiting.answer({ kind: "unknown", leaderId: null });
    else this.#waiting.set(index, [...(this.#waiting.get(index) ?? []), waiting]);
  }

  #request(sequence: number): RequestId {
    return { client: `${this.id}#${this.#life}`, sequence };
  }

  #whenAwake(handle: () => void): void {
    if (this.core === null) return;
    if (this.#isPaused) this.#inbox.push(handle);
    else handle();
  }

  #call(work: (core: RaftCore) => void): void {
    const { core } = this;
    if (core === null) return;
    this.#guarded(() => work(core));
    this.#options.observer.stepped(this);
    if (this.#isReadyDue) return;
    const { lazyMs, random, timeline } = this.#options;
    if (lazyMs === 0 || random() < 0.7) {
      this.#drain();
      return;
    }
    const life = this.#life;
    this.#isReadyDue = true;
    timeline.in(random() * lazyMs, () => {
      if (life !== this.#life) return;
      this.#isReadyDue = false;
      this.#whenAwake(() => this.#drain());
    });
  }

  #drain(): void {
    for (let rounds = 0; this.core !== null; rounds++) {
      const { core } = this;
      const ready = this.#guarded(() => core.ready());
      this.#options.observer.stepped(this);
      if (isIdle(ready)) return;
      if (rounds > 1000) throw new Violation("ready ends", `${this.id} always wants more`);
      this.#do(ready);
    }
  }

  #do(ready: Ready): void {
    const { observer } = this.#options;
    if (ready.leadership !== null) this.#log("becomes", ready.leadership);
    if (ready.write !== null) observer.writing(this, ready.write);
    for (const message of ready.messages) this.#send(message);
    if (ready.write !== null) this.#write(ready.write);
    this.#toApply.push(...ready.committed);
    this.#scheduleApply();
    for (const outcome of ready.reads) this.#endRead(outcome);
    for (const result of ready.forwarded) this.#endForwarded(result);
  }

  #send(message: Message): void {
    const { network, observer } = this.#options;
    observer.sending(this, message);
    if (message.kind !== "installSnapshot") {
      network.send(message);
      return;
    }
    const { base, snapshot } = this.disk;
    network.send({ ...message, ...base }, snapshot);
    this.#snapshotSent(message.to);
  }

  /** The runner learns whether its stream got through, which need not mean that the snapshot is installed. */
  #snapshotSent(to: string): void {
    const { timeline, network, random } = this.#options;
    const life = this.#life;
    timeline.in(5 + random() * 50, () => {
      if (life !== this.#life) return;
      const isSent = network.isOpen(this.id, to) && random() > network.dropRate;
      this.#whenAwake(() => this.#call((core) => core.reportSnapshot(to, isSent)));
    });
  }

  #write(write: Write): void {
    const life = this.#life;
    this.#log("writes", write);
    const data = write.snapshot === undefined ? null : this.#dataOf(write.snapshot);
    this.disk.write(write, data, () => {
      this.#options.observer.persisted(this);
      if (life !== this.#life) return;
      this.#whenAwake(() => {
        if (data !== null) this.#restore(data);
        for (const message of write.messages) this.#send(message);
        this.#call((core) => core.persisted(write.id));
      });
    });
  }

  #dataOf(mark: SnapshotMark): Uint8Array {
    const data = this.#received.get(mark.last.index);
    if (data === undefined)
      throw new Violation("a snapshot has data", `${this.id} writes snapshot ${mark.last.index}`);
    for (const index of this.#received.keys()) if (index <= mark.last.index) this.#received.delete(index);
    return data;
  }

  #restore(data: Uint8Array): void {
    const before = this.machine.appliedIndex;
    this.machine.restore(data);
    const { appliedIndex } = this.machine;
    if (appliedIndex < before)
      throw new Violation("the machine never goes back", `${this.id}: ${before} → ${appliedIndex}`);
    this.#toApply = this.#toApply.filter((entry) => entry.index > appliedIndex);
    for (const [index, waiting] of this.#waiting) {
      if (index > appliedIndex) continue;
      this.#waiting.delete(index);
      for (const { answer } of waiting) answer({ kind: "unknown", leaderId: null });
    }
    this.#call((core) => core.applied(appliedIndex));
    this.#answerReads();
  }

  #scheduleApply(): void {
    const { lazyMs, random, timeline } = this.#options;
    if (this.#toApply.length === 0 || this.#isApplying) return;
    if (lazyMs === 0 || random() < 0.6) {
      this.#applyAll();
      return;
    }
    const life = this.#life;
    this.#isApplying = true;
    timeline.in(random() * lazyMs * 4, () => {
      if (life !== this.#life) return;
      this.#isApplying = false;
      this.#whenAwake(() => this.#applyAll());
    });
  }

  #applyAll(): void {
    const { observer, snapshotEntries } = this.#options;
    const entries = this.#toApply;
    this.#toApply = [];
    for (const entry of entries) {
      observer.applying(this, entry, this.machine.appliedIndex);
      const result = this.machine.apply(entry);
      for (const { term, answer } of this.#waiting.get(entry.index) ?? [])
        answer(
          term === entry.term
            ? { kind: "done", value: result }
            : { kind: "lost", leaderId: this.core?.leaderId ?? null },
        );
      this.#waiting.delete(entry.index);
    }
    const { appliedIndex } = this.machine;
    if (entries.length > 0) this.#call((core) => core.applied(appliedIndex));
    this.#answerReads();
    if (appliedIndex - this.disk.base.last.index >= snapshotEntries) this.snapshot();
  }

  #endRead(outcome: ReadOutcome): void {
    const { sequence } = outcome.request;
    const read = this.#reads.get(sequence);
    this.#reads.delete(sequence);
    if (read === undefined) return;
    if (outcome.kind === "failed") {
      read.answer({ kind: "refused", leaderId: this.core?.leaderId ?? null });
      return;
    }
    this.#options.observer.reading(this.id, outcome.index, read.commitBefore);
    this.#readsAt.push({ index: outcome.index, read });
    this.#answerReads();
  }

  #answerReads(): void {
    const { machine } = this;
    const due = this.#readsAt.filter(({ index }) => index <= machine.appliedIndex);
    if (due.length === 0) return;
    this.#readsAt = this.#readsAt.filter(({ index }) => index > machine.appliedIndex);
    for (const { read } of due) read.answer({ kind: "done", value: machine.read(read.key) });
  }

  #endForwarded({ request, outcome }: ForwardResult): void {
    const answer = this.#forwarded.get(request.sequence);
    this.#forwarded.delete(request.sequence);
    if (answer === undefined) return;
    if (outcome.kind === "appended")
      this.#await(outcome.position.index, { term: outcome.position.term, answer });
    else answer({ kind: outcome.kind, leaderId: null });
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      if (thrown instanceof InvariantViolation)
        throw new Violation("the core's own invariants", `${this.id}: ${thrown.message}`);
      throw thrown;
    }
  }

  #log(what: string, detail: unknown = null): void {
    this.#options.trace.add(this.#options.timeline.nowMs, this.id, what, detail);
  }
}

/** A founding member begins with the members of its tier, committed. */
export function found(disk: MemberDisk, entries: readonly Entry[]): void {
  const last = entries.at(-1) ?? { ...BEFORE_ALL };
  disk.entries = [...entries];
  disk.hardState = { term: last.term, vote: null, commit: last.index };
}
