type Inflight = { readonly last: number; readonly bytes: number };

export type InflightLimits = { readonly maxMessages: number; readonly maxBytes: number };

/** Append messages on their way to one peer, oldest first: bounds what a slow one makes us buffer. */
export class Inflights {
  readonly #limits: InflightLimits;
  #queue: Inflight[] = [];
  #bytes = 0;

  constructor(limits: InflightLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#queue.length;
  }

  /** A single message may exceed the bytes: otherwise a large entry could never be sent. */
  get isFull(): boolean {
    return this.#queue.length >= this.#limits.maxMessages || this.#bytes >= this.#limits.maxBytes;
  }

  /** A message whose last entry is `last`. */
  add(last: number, bytes: number): void {
    this.#queue.push({ last, bytes });
    this.#bytes += bytes;
  }

  /** The peer has everything up to `match`. */
  freeUpTo(match: number): void {
    const kept = this.#queue.findIndex((inflight) => inflight.last > match);
    const freed = this.#queue.splice(0, kept === -1 ? this.#queue.length : kept);
    for (const { bytes } of freed) this.#bytes -= bytes;
  }

  clear(): void {
    this.#queue = [];
    this.#bytes = 0;
  }
}
