import type { ClusterduckError } from "../../common/errors.js";
import type { RaftCore } from "../raft/core.js";
import { entryBytes } from "../raft/entry.js";
import type { Position } from "../raft/entry.js";
import type { ForwardResult } from "../raft/ready.js";
import { noLeader, outcomeUnknown, overloaded } from "./log-errors.js";
import type { LogPosition } from "./replicated-log.js";

const ACTION = "Cannot propose";
/** Proposals that go into the core at once: as many as one write takes well. */
const HANDED_BYTES = 4 * 1024 * 1024;

type Proposal = {
  readonly payload: Uint8Array;
  readonly madeAtMs: number;
  readonly resolve: (position: LogPosition) => void;
  readonly reject: (error: ClusterduckError) => void;
};

/** In the log, for all we know: settled once `index` is committed, whichever entry stands there. */
type Waiter = { readonly position: Position; readonly proposal: Proposal };

export type ProposalLimits = {
  /** Payloads of proposals that have no answer yet; beyond this new ones are refused. */
  readonly maxPendingBytes: number;
  /** How long a proposal may take before whoever made it is told that its outcome is unknown. */
  readonly timeoutMs: number;
};

/**
 * What was proposed on this member and has no answer yet. A proposal is tried again, in its old place, when
 * it certainly did not happen: it was refused, or another entry was committed in its place. When that is
 * unknown, whoever made it must decide.
 */
export class Proposals {
  /** Names this start of this member in requests to other members. */
  readonly #client: string;
  readonly #limits: ProposalLimits;
  #queue: Proposal[] = [];
  /** By index, ascending. */
  #waiting: Waiter[] = [];
  readonly #forwarded = new Map<number, Proposal>();
  #sequence = 0;
  #pendingBytes = 0;
  /** A leader has refused: it is not one any more, or hands over. Until the next tick there is no use in asking. */
  #isHeld = false;

  constructor(client: string, limits: ProposalLimits) {
    this.#client = client;
    this.#limits = limits;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0 && this.#waiting.length === 0 && this.#forwarded.size === 0;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  add(payload: Uint8Array, nowMs: number): Promise<LogPosition> {
    const bytes = entryBytes({ payload });
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > this.#limits.maxPendingBytes) {
      return Promise.reject(overloaded(ACTION, `${this.#pendingBytes} bytes of changes`));
    }
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#queue.push({ payload, madeAtMs: nowMs, resolve, reject });
    });
  }

  /** Hands what is queued to the core, which leads or knows who does. */
  hand(core: RaftCore): void {
    if (this.#isHeld) return;
    if (core.role === "leader") this.#propose(core);
    else if (core.leaderId !== null) this.#forward(core);
  }

  onForwarded({ request, outcome }: ForwardResult): void {
    const proposal = this.#forwarded.get(request.sequence);
    if (proposal === undefined) return;
    this.#forwarded.delete(request.sequence);
    switch (outcome.kind) {
      case "appended":
        this.#insert({ position: outcome.position, proposal });
        return;
      case "refused":
        this.#queue.unshift(proposal);
        this.#isHeld = true;
        return;
      case "unknown":
        this.#reject(proposal, outcomeUnknown(ACTION, "the leader did not answer"));
    }
  }

  /** Answers those whose place in the log is committed. */
  settle(core: RaftCore): void {
    const { commit } = core;
    const open = this.#waiting.findIndex(({ position }) => position.index > commit);
    const settled = this.#waiting.splice(0, open === -1 ? this.#waiting.length : open);
    const lost: Proposal[] = [];
    for (const { position, proposal } of settled) {
      const term = core.termAt(position.index);
      if (term === position.term) {
        this.#pendingBytes -= entryBytes(proposal);
        proposal.resolve({ index: position.index, term });
      } else if (term !== null) {
        lost.push(proposal);
      } else {
        this.#reject(proposal, outcomeUnknown(ACTION, "a snapshot has taken the place of its log entry"));
      }
    }
    if (lost.length > 0) this.#queue = [...lost, ...this.#queue];
  }

  /** Somebody else may lead: asking makes sense again. */
  release(): void {
    this.#isHeld = false;
  }

  tick(nowMs: number): void {
    this.release();
    const { timeoutMs } = this.#limits;
    const isOver = ({ madeAtMs }: Proposal): boolean => nowMs - madeAtMs >= timeoutMs;
    if (this.#queue.some(isOver)) {
      const over = this.#queue.filter(isOver);
      this.#queue = this.#queue.filter((proposal) => !isOver(proposal));
      for (const proposal of over) this.#reject(proposal, noLeader(ACTION, timeoutMs));
    }
    if (this.#waiting.some(({ proposal }) => isOver(proposal))) {
      const over = this.#waiting.filter(({ proposal }) => isOver(proposal));
      this.#waiting = this.#waiting.filter(({ proposal }) => !isOver(proposal));
      const why = `no majority of the members had it on its disk within ${Math.round(timeoutMs)} ms`;
      for (const { proposal } of over) this.#reject(proposal, outcomeUnknown(ACTION, why));
    }
  }

  /** Ends what has certainly not happened. */
  rejectQueued(error: ClusterduckError): void {
    for (const proposal of this.#queue.splice(0)) this.#reject(proposal, error);
  }

  /** Ends what may or may not happen. */
  rejectHanded(error: ClusterduckError): void {
    for (const { proposal } of this.#waiting.splice(0)) this.#reject(proposal, error);
    for (const proposal of this.#forwarded.values()) this.#reject(proposal, error);
    this.#forwarded.clear();
  }

  #propose(core: RaftCore): void {
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, this.#batchSize());
      const result = core.propose(batch.map(({ payload }) => payload));
      if (!result.isAccepted) {
        // They keep their place: it is their turn when the leader, whoever it is, takes some again.
        this.#isHeld = true;
        return;
      }
      this.#queue.splice(0, batch.length);
      const { index, term } = result.first;
      for (const [at, proposal] of batch.entries()) {
        this.#insert({ position: { index: index + at, term }, proposal });
      }
    }
  }

  #forward(core: RaftCore): void {
    for (const proposal of this.#queue.splice(0)) {
      const sequence = ++this.#sequence;
      this.#forwarded.set(sequence, proposal);
      core.forward({ client: this.#client, sequence }, proposal.payload);
    }
  }

  #batchSize(): number {
    let bytes = 0;
    const end = this.#queue.findIndex((proposal, at) => {
      bytes += entryBytes(proposal);
      return at > 0 && bytes > HANDED_BYTES;
    });
    return end === -1 ? this.#queue.length : end;
  }

  #insert(waiter: Waiter): void {
    const { index } = waiter.position;
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.position.index ?? 0) > index) at--;
    this.#waiting.splice(at, 0, waiter);
  }

  #reject(proposal: Proposal, error: ClusterduckError): void {
    this.#pendingBytes -= entryBytes(proposal);
    proposal.reject(error);
  }
}
