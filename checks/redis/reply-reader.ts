import { ConnectionError } from "./connection-error.js";

/** Replies to one run's commands may hold this much; INFO of a large server has about 10 KiB. */
export const MAX_REPLY_BYTES = 1024 * 1024;
/** Status, error and length lines are short; Redis itself takes no longer ones. */
const MAX_LINE_BYTES = 64 * 1024;
const MAX_ELEMENTS = 1_000_000;
/** ROLE and COMMAND nest three deep. */
const MAX_DEPTH = 32;

const CR = 0x0d;
const LF = 0x0a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const DOLLAR = 0x24;
const ASTERISK = 0x2a;

/** What a command is answered with: text, number, null, ReplyError, or an array of these. */
export type Reply = string | number | null | ReplyError | readonly Reply[];

/** An error that the server answered with: it is alive, and says why it will not do what was asked. */
export class ReplyError extends Error {
  override readonly name = "ReplyError";
}

/** An array whose elements have not all come. */
type OpenArray = { readonly items: Reply[]; readonly length: number };

/**
 * Reads RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/) as it arrives, however it is cut.
 * A service that sends without end, or announces a billion elements, costs no memory beyond the limits here.
 */
export class ReplyReader {
  readonly #onReply: (reply: Reply) => void;
  /** What was received and is not yet read: the beginning of a line or of a text. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  /** Joining parts is pointless before there is so much of them. */
  #wantedBytes = 0;
  readonly #arrays: OpenArray[] = [];
  #receivedBytes = 0;

  constructor(onReply: (reply: Reply) => void) {
    this.#onReply = onReply;
  }

  /** A new run begins: count from zero. */
  resetLimit(): void {
    this.#receivedBytes = 0;
  }

  /**
   * Takes what was received; `chunk` belongs to the caller again afterwards.
   * @throws ConnectionError protocol or tooLarge; nothing may be read after that.
   */
  push(chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > MAX_REPLY_BYTES) throw tooLarge();
    let bytes = chunk;
    if (this.#partsBytes > 0) {
      this.#keep(chunk);
      if (this.#partsBytes < this.#wantedBytes) return;
      bytes = Buffer.concat(this.#parts, this.#partsBytes);
      this.#parts = [];
      this.#partsBytes = 0;
    }
    let at = 0;
    while (at < bytes.length) {
      const next = this.#readValue(bytes, at);
      if (next === -1) return this.#keep(bytes.subarray(at));
      at = next;
    }
  }

  #keep(bytes: Buffer): void {
    this.#parts.push(Buffer.from(bytes));
    this.#partsBytes += bytes.length;
  }

  /** Where the next value begins; -1: this one has not come in whole. */
  #readValue(bytes: Buffer, at: number): number {
    const lineEnd = bytes.indexOf(CR, at + 1);
    if (lineEnd === -1 || lineEnd + 1 >= bytes.length) {
      if (bytes.length - at > MAX_LINE_BYTES) throw unreadable("a line without an end");
      this.#wantedBytes = 0;
      // What cannot be the beginning of a reply need not be waited for.
      if (!isType(bytes[at])) throw unreadable(shown(bytes, at));
      return -1;
    }
    const next = lineEnd + 2;
    if (bytes[lineEnd + 1] !== LF) throw unreadable(shown(bytes, at));
    switch (bytes[at]) {
      case PLUS:
        this.#take(bytes.toString("utf8", at + 1, lineEnd));
        return next;
      case MINUS:
        this.#take(new ReplyError(bytes.toString("utf8", at + 1, lineEnd)));
        return next;
      case COLON:
        this.#take(integerIn(bytes, at, lineEnd));
        return next;
      case DOLLAR:
        return this.#readText(bytes, at, next, integerIn(bytes, at, lineEnd));
      case ASTERISK:
        this.#openArray(integerIn(bytes, at, lineEnd));
        return next;
      default:
        throw unreadable(shown(bytes, at));
    }
  }

  #readText(bytes: Buffer, at: number, from: number, length: number): number {
    if (length < 0) {
      this.#take(null);
      return from;
    }
    if (length > MAX_REPLY_BYTES) throw tooLarge();
    const next = from + length + 2;
    if (next > bytes.length) {
      this.#wantedBytes = next - at;
      return -1;
    }
    if (bytes[next - 2] !== CR || bytes[next - 1] !== LF)
      throw unreadable("a text of another length than it says");
    this.#take(bytes.toString("utf8", from, from + length));
    return next;
  }

  #openArray(length: number): void {
    if (length > MAX_ELEMENTS) throw unreadable("an array of over a million elements");
    if (this.#arrays.length === MAX_DEPTH) throw unreadable(`arrays more than ${MAX_DEPTH} deep`);
    if (length < 0) this.#take(null);
    else if (length === 0) this.#take([]);
    else this.#arrays.push({ items: [], length });
  }

  /** A value is whole: it is the reply, or an element that may complete the arrays around it. */
  #take(value: Reply): void {
    let whole = value;
    for (let array = this.#arrays.at(-1); array !== undefined; array = this.#arrays.at(-1)) {
      array.items.push(whole);
      if (array.items.length < array.length) return;
      this.#arrays.pop();
      whole = array.items;
    }
    this.#onReply(whole);
  }
}

function isType(byte: number | undefined): boolean {
  return byte === PLUS || byte === MINUS || byte === COLON || byte === DOLLAR || byte === ASTERISK;
}

function integerIn(bytes: Buffer, at: number, lineEnd: number): number {
  const text = bytes.toString("latin1", at + 1, lineEnd);
  if (!/^[+-]?\d{1,20}$/.test(text)) throw unreadable(shown(bytes, at));
  return Number(text);
}

function tooLarge(): ConnectionError {
  return new ConnectionError("tooLarge", `the reply is larger than ${MAX_REPLY_BYTES} bytes`);
}

function unreadable(what: string): ConnectionError {
  return new ConnectionError("protocol", `the answer is not Redis's protocol: ${what}`);
}

/** The beginning of what is no reply. */
function shown(bytes: Buffer, at: number): string {
  return JSON.stringify(bytes.toString("latin1", at, Math.min(bytes.length, at + 60)));
}
