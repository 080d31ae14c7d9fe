import type { Message } from "../../../coordinator/raft/message.js";
import type { Random } from "../../../common/random.js";
import type { Timeline } from "../health/timeline.js";

export type NetworkOptions = {
  readonly timeline: Timeline;
  readonly random: Random;
  /** Encodes and decodes, so that nothing that is not on the wire gets through. */
  readonly carry: (message: Message) => Message;
  readonly deliver: (message: Message, attachment: Uint8Array | null) => void;
};

/** What lies between the members. Every pair has two links, one each way. */
export class Network {
  /** Share of the messages that get lost, that arrive twice. */
  dropRate = 0;
  duplicateRate = 0;
  minDelayMs = 0.2;
  maxDelayMs = 2;
  /** Messages overtake each other; otherwise a link is a queue, as a stream is. */
  isReordering = false;
  /** Share of the messages that take up to a second longer. */
  stragglerRate = 0;
  readonly #options: NetworkOptions;
  readonly #cut = new Set<string>();
  readonly #lastArrivalMs = new Map<string, number>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** Cuts one direction. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  mend(from: string, to: string): void {
    this.#cut.delete(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  isOpen(from: string, to: string): boolean {
    return !this.#cut.has(`${from}>${to}`);
  }

  send(message: Message, attachment: Uint8Array | null = null): void {
    const { random } = this.#options;
    if (!this.isOpen(message.from, message.to) || random() < this.dropRate) return;
    const carried = this.#options.carry(message);
    this.#arrange(carried, attachment);
    if (random() < this.duplicateRate) this.#arrange(carried, attachment);
  }

  #arrange(message: Message, attachment: Uint8Array | null): void {
    const { timeline, random, deliver } = this.#options;
    const link = `${message.from}>${message.to}`;
    const straggle = this.stragglerRate > 0 && random() < this.stragglerRate ? random() * 1000 : 0;
    const delayMs = this.minDelayMs + random() * (this.maxDelayMs - this.minDelayMs) + straggle;
    let atMs = timeline.nowMs + delayMs;
    if (!this.isReordering) {
      atMs = Math.max(atMs, this.#lastArrivalMs.get(link) ?? 0);
      this.#lastArrivalMs.set(link, atMs);
    }
    timeline.at(atMs, () => {
      if (this.isOpen(message.from, message.to)) deliver(message, attachment);
    });
  }
}
