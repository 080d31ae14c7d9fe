import { Wakeup } from "../../../common/wakeup.js";
import { entryBytes } from "../../raft/entry.js";
import type { Message } from "../../raft/message.js";
import { FRAME_BYTES, MAX_FRAME_BYTES } from "./codec.js";

/** What a message without entries takes at most, roughly; what stands around those of one with entries, too. */
const MESSAGE_BYTES = 512;
/** Twice what the core sends a peer before it waits for answers. */
const MAX_QUEUED_BYTES = 32 * 1024 * 1024;
const MAX_QUEUED_MESSAGES = 8_192;

/**
 * Messages on their way out to one peer. Bounded: what does not fit is thrown away, which raft bears. While
 * one frame leaves, the next gathers here, so a slow peer gets fewer and larger ones.
 */
export class SendQueue {
  #messages: Message[] = [];
  #bytes = 0;
  #dropped = 0;
  readonly #wakeup = new Wakeup();

  /** Messages thrown away since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns false when the message was thrown away. */
  push(message: Message): boolean {
    const bytes = bytesOf(message);
    const isOver = this.#bytes + bytes > MAX_QUEUED_BYTES || this.#messages.length >= MAX_QUEUED_MESSAGES;
    if (isOver || bytes > MAX_FRAME_BYTES) {
      this.#dropped++;
      return false;
    }
    if (message.kind === "heartbeat") this.#forgetHeartbeats();
    this.#messages.push(message);
    this.#bytes += bytes;
    this.#wakeup.wake();
    return true;
  }

  /** Resolves when there is something to take, or `signal` aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    while (this.#messages.length === 0 && !signal.aborted) await this.#wakeup.wait(signal);
  }

  /** As many as fit into one frame, and at least one, oldest first. */
  take(): readonly Message[] {
    let bytes = 0;
    const end = this.#messages.findIndex((message, at) => {
      bytes += bytesOf(message);
      return at > 0 && bytes > FRAME_BYTES;
    });
    const taken = this.#messages.splice(0, end === -1 ? this.#messages.length : end);
    this.#bytes = this.#messages.reduce((sum, message) => sum + bytesOf(message), 0);
    return taken;
  }

  /** The peer is not there: what waits is old by the time it is. */
  clear(): void {
    this.#dropped += this.#messages.length;
    this.#messages = [];
    this.#bytes = 0;
  }

  /** A newer one says all that an older one does. */
  #forgetHeartbeats(): void {
    if (!this.#messages.some(({ kind }) => kind === "heartbeat")) return;
    const kept = this.#messages.filter(({ kind }) => kind !== "heartbeat");
    this.#bytes -= (this.#messages.length - kept.length) * MESSAGE_BYTES;
    this.#messages = kept;
  }
}

function bytesOf(message: Message): number {
  switch (message.kind) {
    case "append":
      return message.entries.reduce((sum, entry) => sum + entryBytes(entry), MESSAGE_BYTES);
    case "propose":
      return MESSAGE_BYTES + message.payload.length;
    default:
      return MESSAGE_BYTES;
  }
}
