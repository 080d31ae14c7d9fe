import type { Message } from "./message.js";
import type { ForwardResult, ReadOutcome } from "./ready.js";

/** Gathers what a member has to say until the runner takes it. */
export class Outbox {
  #messages: Message[] = [];
  #promises: Message[] = [];
  #reads: ReadOutcome[] = [];
  #forwarded: ForwardResult[] = [];

  /** Goes with the next `ready()`. */
  send(message: Message): void {
    this.#messages.push(message);
  }

  /** Goes when all that has happened until now is durable. */
  promise(message: Message): void {
    this.#promises.push(message);
  }

  endRead(outcome: ReadOutcome): void {
    this.#reads.push(outcome);
  }

  endForwarded(result: ForwardResult): void {
    this.#forwarded.push(result);
  }

  takeMessages(): readonly Message[] {
    return this.#messages.splice(0);
  }

  takePromises(): readonly Message[] {
    return this.#promises.splice(0);
  }

  takeReads(): readonly ReadOutcome[] {
    return this.#reads.splice(0);
  }

  takeForwarded(): readonly ForwardResult[] {
    return this.#forwarded.splice(0);
  }
}
