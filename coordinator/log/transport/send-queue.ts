import { Wakeup } from "../../../common/wakeup.js";
import { entryBytes } from "../../raft/entry.js";
import type { Message } from "../../raft/message.js";
import { FRAME_BYTES, MAX_FRAME_BYTES } from "./codec.js";

/** What a message without entries takes at most, roughly; what stands around those of one with entries, too. */
const MESSAGE_BYTES = 512;
/** Twice what the core sends a peer before it waits for answers. */
const MAX_QUEUED_BYTES = 32 * 1024 * 1024;
const MAX_QUEUED_MESSAGES = 8_192;
/** So much of the small messages goes with a bulky one: no bulky one waits for ever, nor makes a frame too large. */
const SMALL_BYTES = 32 * 1024;

/** Messages of one kind of haste, oldest first, within limits of their own. */
class Lane {
  #messages: Message[] = [];
  #bytes = 0;

  get count(): number {
    return this.#messages.length;
  }

  /** Returns false when there is no room. */
  push(message: Message): boolean {
    const bytes = bytesOf(message);
    if (this.#bytes + bytes > MAX_QUEUED_BYTES || this.count >= MAX_QUEUED_MESSAGES) return false;
    this.#messages.push(message);
    this.#bytes += bytes;
    return true;
  }

  /** Puts a message in the place of one that waits. Returns false when there is none to replace. */
  replace(isReplaced: (waiting: Message) => boolean, message: Message): boolean {
    const at = this.#messages.findIndex(isReplaced);
    if (at !== -1) this.#messages[at] = message;
    return at !== -1;
  }

  /** As many as fit into so many bytes; the first one fits always. */
  take(maxBytes: number): readonly Message[] {
    let bytes = 0;
    let count = 0;
    for (const message of this.#messages) {
      const more = bytesOf(message);
      if (count > 0 && bytes + more > maxBytes) break;
      bytes += more;
      count++;
    }
    this.#bytes -= bytes;
    return this.#messages.splice(0, count);
  }

  /** Returns how many there were. */
  clear(): number {
    const { count } = this;
    this.#messages = [];
    this.#bytes = 0;
    return count;
  }
}

/**
 * Messages on their way out to one peer. Bounded: what does not fit is thrown away, which raft bears. While
 * one frame leaves, the next gathers here, so a slow peer gets fewer and larger ones.
 *
 * What is small overtakes what is bulky: behind megabytes of entries, heartbeats and answers would come too late
 * to keep a leader. Raft bears any order, but entries out of theirs cost a refusal and are sent again: they keep it.
 */
export class SendQueue {
  readonly #small = new Lane();
  readonly #bulky = new Lane();
  #dropped = 0;
  readonly #wakeup = new Wakeup();

  /** Messages thrown away since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns false when the message was thrown away. */
  push(message: Message): boolean {
    if (!this.#take(message)) {
      this.#dropped++;
      return false;
    }
    this.#wakeup.wake();
    return true;
  }

  /** Resolves when there is something to take, or `signal` aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    while (this.#isEmpty && !signal.aborted) await this.#wakeup.wait(signal);
  }

  /** As many as fit into one frame, and at least one of each kind that waits. */
  take(): readonly Message[] {
    const small = this.#small.take(this.#bulky.count > 0 ? SMALL_BYTES : FRAME_BYTES);
    if (this.#bulky.count === 0) return small;
    return [...small, ...this.#bulky.take(FRAME_BYTES)];
  }

  /** The peer is not there: what waits is old by the time it is. */
  clear(): void {
    this.#dropped += this.#small.clear() + this.#bulky.clear();
  }

  get #isEmpty(): boolean {
    return this.#small.count === 0 && this.#bulky.count === 0;
  }

  #take(message: Message): boolean {
    if (isBulky(message)) {
      return bytesOf(message) <= MAX_FRAME_BYTES - SMALL_BYTES && this.#bulky.push(message);
    }
    // A newer heartbeat says all that an older one does.
    const isOlder = ({ kind }: Message): boolean => kind === "heartbeat";
    return (
      (message.kind === "heartbeat" && this.#small.replace(isOlder, message)) || this.#small.push(message)
    );
  }
}

/** A wish to hand over stands where the successor has all that was sent before it. */
function isBulky({ kind }: Message): boolean {
  return kind === "append" || kind === "propose" || kind === "timeoutNow";
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
