import { MAX_HEADER_BYTES } from "./connection.js";
import { HeadersTooLargeError, ProtocolError } from "./http-errors.js";

/** What an answer says before its body. */
export type AnswerHead = {
  readonly status: number;
  readonly location: string | null;
  /** How long the server keeps the connection when nothing is asked, milliseconds; null: it does not say. */
  readonly keepAliveMs: number | null;
};

export type AnswerEvents = {
  onHead(head: AnswerHead): void;
  onBody(bytes: Buffer): void;
  /** `isReusable`: another request may follow on this connection. */
  onEnd(isReusable: boolean): void;
};

type State = "head" | "sized" | "chunkSize" | "chunk" | "chunkEnd" | "trailers" | "untilClose" | "ended";

type Fields = {
  length: number | null;
  isChunked: boolean;
  isKept: boolean;
  location: string | null;
  keepAliveMs: number | null;
};

const HEAD_END = "\r\n\r\n";
const LINE_END = "\r\n";
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/;
const NAME = /^[^\s:]+:/;
const BEGINNING = Buffer.from("HTTP/1.");

/**
 * Reads one answer of HTTP/1.1 (RFC 9112) as it arrives, however it is cut, and keeps no more of it than its
 * headers.
 */
export class AnswerReader {
  readonly #events: AnswerEvents;
  readonly #hasBody: boolean;
  #state: State = "head";
  /** The beginning of headers or of a line. */
  #rest: Buffer | null = null;
  /** Bytes of the body, or of its present chunk, that are still to come. */
  #left = 0;
  #isKept = false;

  /** `method`: that of the request; an answer to HEAD has no body. */
  constructor(method: string, events: AnswerEvents) {
    this.#hasBody = method !== "HEAD";
    this.#events = events;
  }

  /** Something of the answer has come. */
  get hasBegun(): boolean {
    return this.#state !== "head" || this.#rest !== null;
  }

  /** @throws ProtocolError or HeadersTooLargeError; nothing may be read after that. */
  push(received: Buffer): void {
    let bytes = received;
    if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, received]);
      this.#rest = null;
    }
    let at = 0;
    while (at !== -1 && at < bytes.length) {
      if (this.#state === "ended") throw new ProtocolError("the server sends more than its answer");
      at = this.#read(bytes, at);
    }
  }

  /** The server has closed the connection. True: that was the end of the answer. */
  close(): boolean {
    if (this.#state !== "untilClose") return false;
    this.#end(false);
    return true;
  }

  /** Where reading goes on; -1: more has to come first. */
  #read(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case "head":
        return this.#readHead(bytes, at);
      case "sized":
      case "chunk":
        return this.#readSized(bytes, at);
      case "chunkSize":
      case "chunkEnd":
      case "trailers":
        return this.#readLine(bytes, at);
      default:
        this.#events.onBody(bytes.subarray(at));
        return bytes.length;
    }
  }

  #readHead(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(HEAD_END, at, "latin1");
    if (end === -1 || end - at > MAX_HEADER_BYTES) {
      const known = Math.min(BEGINNING.length, bytes.length - at);
      if (BEGINNING.compare(bytes, at, at + known, 0, known) !== 0) throw notHttp(bytes, at);
      return this.#keep(bytes, at);
    }
    this.#takeHead(bytes.toString("latin1", at, end));
    return end + HEAD_END.length;
  }

  #takeHead(text: string): void {
    const [statusLine = "", ...lines] = text.split(LINE_END);
    const match = STATUS_LINE.exec(statusLine);
    if (match === null)
      throw new ProtocolError(`the answer begins with ${JSON.stringify(statusLine.slice(0, 60))}`);
    const status = Number(match[2]);
    if (status === 101) throw new ProtocolError("the server switches to a protocol that nobody asked for");
    const fields = fieldsOf(lines, match[1] === "1");
    // Interim answers precede the final one.
    if (status < 200) return;
    this.#isKept = fields.isKept;
    this.#events.onHead({ status, location: fields.location, keepAliveMs: fields.keepAliveMs });
    if (!this.#hasBody || status === 204 || status === 304) this.#end(this.#isKept);
    else if (fields.isChunked) this.#state = "chunkSize";
    else if (fields.length === null) this.#state = "untilClose";
    else if (fields.length === 0) this.#end(this.#isKept);
    else {
      this.#state = "sized";
      this.#left = fields.length;
    }
  }

  #readSized(bytes: Buffer, at: number): number {
    const end = at + Math.min(this.#left, bytes.length - at);
    this.#left -= end - at;
    this.#events.onBody(bytes.subarray(at, end));
    if (this.#left === 0 && this.#state === "chunk") this.#state = "chunkEnd";
    else if (this.#left === 0) this.#end(this.#isKept);
    return end;
  }

  #readLine(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(LINE_END, at, "latin1");
    if (end === -1) return this.#keep(bytes, at);
    const line = bytes.toString("latin1", at, end);
    if (this.#state === "chunkSize") this.#takeChunkSize(line);
    else if (this.#state === "chunkEnd") this.#takeChunkEnd(line);
    else if (line === "") this.#end(this.#isKept);
    return end + LINE_END.length;
  }

  #takeChunkSize(line: string): void {
    const size = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;|$)/.exec(line)?.[1];
    if (size === undefined) throw badChunk(line);
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailers" : "chunk";
  }

  #takeChunkEnd(line: string): void {
    if (line !== "") throw badChunk(line);
    this.#state = "chunkSize";
  }

  #keep(bytes: Buffer, at: number): -1 {
    if (bytes.length - at > MAX_HEADER_BYTES) throw new HeadersTooLargeError(MAX_HEADER_BYTES);
    this.#rest = Buffer.from(bytes.subarray(at));
    return -1;
  }

  #end(isReusable: boolean): void {
    this.#state = "ended";
    this.#events.onEnd(isReusable);
  }
}

function fieldsOf(lines: readonly string[], isHttp11: boolean): Fields {
  const fields: Fields = {
    length: null,
    isChunked: false,
    isKept: isHttp11,
    location: null,
    keepAliveMs: null,
  };
  for (const line of lines) {
    // White space before the colon, or a folded line, is how requests are smuggled (RFC 9112, section 5).
    if (!NAME.test(line)) throw new ProtocolError(`${JSON.stringify(line.slice(0, 60))} is no header`);
    const colon = line.indexOf(":");
    takeField(fields, line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return fields;
}

function takeField(fields: Fields, name: string, value: string): void {
  switch (name) {
    case "content-length": {
      const length = /^\d{1,15}$/.test(value) ? Number(value) : null;
      if (length === null || (fields.length !== null && fields.length !== length))
        throw new ProtocolError(`Content-Length is ${JSON.stringify(value.slice(0, 60))}`);
      fields.length = length;
      return;
    }
    case "transfer-encoding":
      if (value.toLowerCase() !== "chunked")
        throw new ProtocolError(
          `Transfer-Encoding is ${JSON.stringify(value.slice(0, 60))}, which nobody asked for`,
        );
      fields.isChunked = true;
      return;
    case "connection":
      if (/(?:^|[\s,])close(?:$|[\s,])/i.test(value)) fields.isKept = false;
      else if (/(?:^|[\s,])keep-alive(?:$|[\s,])/i.test(value)) fields.isKept = true;
      return;
    case "keep-alive": {
      const seconds = /(?:^|[\s,;])timeout=(\d{1,9})/i.exec(value)?.[1];
      if (seconds !== undefined) fields.keepAliveMs = Number(seconds) * 1_000;
      return;
    }
    case "location":
      fields.location ??= value;
  }
}

function notHttp(bytes: Buffer, at: number): ProtocolError {
  const shown = JSON.stringify(bytes.toString("latin1", at, Math.min(bytes.length, at + 60)));
  return new ProtocolError(`the answer begins with ${shown}, which is not HTTP/1.1`);
}

function badChunk(line: string): ProtocolError {
  return new ProtocolError(`a chunk of the body begins or ends with ${JSON.stringify(line.slice(0, 60))}`);
}
