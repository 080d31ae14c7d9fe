import { ClusterduckError } from "../../common/errors.js";
import type { RaftCore } from "../raft/core.js";
import type { ReadOutcome } from "../raft/ready.js";

type Barrier = {
  readonly askedAtMs: number;
  readonly resolve: (index: number) => void;
  readonly reject: (error: ClusterduckError) => void;
};

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
  #isHeld = false;

  /** @param client Names this start of this member in requests to other members. */
  constructor(client: string, timeoutMs: number) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
  }

  add(nowMs: number): Promise<number> {
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
      for (const { resolve } of barriers) resolve(outcome.index);
    } else {
      this.#queue.unshift(...barriers);
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
    const over: Barrier[] = [];
    for (const [sequence, barriers] of this.#asked) {
      if (!barriers.some(isOver)) continue;
      over.push(...barriers.filter(isOver));
      const left = barriers.filter((barrier) => !isOver(barrier));
      if (left.length > 0) this.#asked.set(sequence, left);
      else this.#asked.delete(sequence);
    }
    over.push(...this.#queue.filter(isOver));
    this.#queue = this.#queue.filter((barrier) => !isOver(barrier));
    for (const { reject } of over) reject(unconfirmed(this.#timeoutMs));
  }

  rejectAll(error: ClusterduckError): void {
    for (const { reject } of this.#queue.splice(0)) reject(error);
    for (const barriers of this.#asked.values()) for (const { reject } of barriers) reject(error);
    this.#asked.clear();
  }
}

function unconfirmed(timeoutMs: number): ClusterduckError {
  return new ClusterduckError(
    "UNREACHABLE",
    `Cannot read what is newest: no leader confirmed within ${Math.round(timeoutMs)} ms that it still leads`,
    { hint: "A majority of the coordinators must run and reach each other: duckctl coordinators list" },
  );
}
