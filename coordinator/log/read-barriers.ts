import { ClusterduckError } from "../../common/errors.js";
import { overloaded } from "./log-errors.js";
import type { RaftCore } from "../raft/core.js";
import type { ReadOutcome } from "../raft/ready.js";

type Barrier = {
  readonly askedAtMs: number;
  readonly resolve: (index: number) => void;
  readonly reject: (error: ClusterduckError) => void;
};

const ACTION = "Cannot read what is newest";
/** Reads that have no answer yet; beyond this new ones are refused. */
const MAX_PENDING = 100_000;

/**
 * Reads that wait for an index. All that come together share one question to the leader, and ask again when
 * leadership has changed meanwhile: asking twice does no harm.
 */
export class ReadBarriers {
  readonly #client: string;
  readonly #timeoutMs: number;
  #queue: Barrier[] = [];
  readonly #asked = new Map<number, readonly Barrier[]>();
  #sequence = 0;
  #pending = 0;
  #isHeld = false;

  /** @param client Names this start of this member in requests to other members. */
  constructor(client: string, timeoutMs: number) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
  }

  add(nowMs: number): Promise<number> {
    if (this.#pending >= MAX_PENDING) return Promise.reject(overloaded(ACTION, `${this.#pending} reads`));
    this.#pending++;
    return new Promise((resolve, reject) => {
      this.#queue.push({ askedAtMs: nowMs, resolve, reject });
    });
  }

  hand(core: RaftCore): void {
    if (this.#isHeld || this.#queue.length === 0 || core.leaderId === null) return;
    const sequence = ++this.#sequence;
    this.#asked.set(sequence, this.#queue.splice(0));
    core.readIndex({ client: this.#client, sequence });
  }

  onOutcome(outcome: ReadOutcome): void {
    const { sequence } = outcome.request;
    const barriers = this.#asked.get(sequence);
    if (barriers === undefined) return;
    this.#asked.delete(sequence);
    if (outcome.kind === "confirmed") {
      this.#pending -= barriers.length;
      for (const { resolve } of barriers) resolve(outcome.index);
    } else {
      this.#queue = [...barriers, ...this.#queue];
      this.#isHeld = true;
    }
  }

  /** Somebody else may lead: asking makes sense again. */
  release(): void {
    this.#isHeld = false;
  }

  tick(nowMs: number): void {
    this.release();
    const isOver = ({ askedAtMs }: Barrier): boolean => nowMs - askedAtMs >= this.#timeoutMs;
    for (const [sequence, barriers] of this.#asked) {
      if (!barriers.some(isOver)) continue;
      this.#expire(barriers.filter(isOver));
      const left = barriers.filter((barrier) => !isOver(barrier));
      if (left.length > 0) this.#asked.set(sequence, left);
      else this.#asked.delete(sequence);
    }
    if (!this.#queue.some(isOver)) return;
    this.#expire(this.#queue.filter(isOver));
    this.#queue = this.#queue.filter((barrier) => !isOver(barrier));
  }

  rejectAll(error: ClusterduckError): void {
    this.#reject(this.#queue.splice(0), error);
    for (const barriers of this.#asked.values()) this.#reject(barriers, error);
    this.#asked.clear();
  }

  #expire(barriers: readonly Barrier[]): void {
    this.#reject(barriers, unconfirmed(this.#timeoutMs));
  }

  #reject(barriers: readonly Barrier[], error: ClusterduckError): void {
    this.#pending -= barriers.length;
    for (const { reject } of barriers) reject(error);
  }
}

function unconfirmed(timeoutMs: number): ClusterduckError {
  return new ClusterduckError(
    "UNREACHABLE",
    `${ACTION}: no leader confirmed within ${Math.round(timeoutMs)} ms that it still leads`,
    { hint: "A majority of the coordinators must run and reach each other: duckctl coordinators list" },
  );
}
