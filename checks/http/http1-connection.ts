import type { Socket } from "node:net";
import { abortHandlerOf } from "../abort-handler.js";
import { AnswerReader } from "./answer-reader.js";
import { ANNOUNCED_MARGIN_MS } from "./connection.js";
import type { ConnectionOptions, HttpConnection, HttpRequest } from "./connection.js";
import { ExchangeState } from "./exchange.js";
import type { BodyLimits, Exchange } from "./exchange.js";
import { PeerClosedError } from "./http-errors.js";

/** A request whose answer is awaited. */
type Look = { readonly request: HttpRequest; readonly state: ExchangeState; readonly reader: AnswerReader };

/** HTTP/1.1 as thin as a check needs it: one request at a time, no queue, no pool, no retry. */
export class Http1Connection implements HttpConnection {
  readonly #options: ConnectionOptions;
  isClosed = false;
  /** Ends the attempt to connect that is under way. */
  #connecting: AbortController | null = null;
  #socket: Socket | null = null;
  #look: Look | null = null;
  #answersOnSocket = 0;
  #sockets = 0;
  /** Until when the server has promised to keep the connection although nothing is asked; null: no word of it. */
  #keptUntilMs: number | null = null;
  certificateEndMs: number | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get sockets(): number {
    return this.#sockets;
  }

  get answers(): number {
    return this.#answersOnSocket;
  }

  exchange(request: HttpRequest, limits: BodyLimits, signal: AbortSignal): Promise<Exchange> {
    return new Promise((resolve) => {
      const abort = abortHandlerOf(signal);
      const state = new ExchangeState(limits, (exchange) => {
        abort.handle = null;
        this.#look = null;
        if (exchange.kind === "answered") this.#answersOnSocket++;
        else this.#drop();
        const isCutShort =
          exchange.kind === "aborted" || (exchange.kind === "answered" && exchange.isTruncated);
        if (isCutShort) this.close();
        resolve(exchange);
      });
      if (signal.aborted) return state.abort();
      if (this.isClosed) return state.break(checkClosed(), false);
      abort.handle = () => state.abort();
      this.#ask(request, state);
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#connecting?.abort(checkClosed());
    this.#drop();
    this.#look?.state.break(checkClosed(), this.#look.reader.hasBegun);
  }

  #ask(request: HttpRequest, state: ExchangeState): void {
    const reader = new AnswerReader(request.method, {
      onHead: ({ status, location, keepAliveMs }) => {
        this.#keptUntilMs = keepAliveMs === null ? null : this.#options.clock.monotonicMs() + keepAliveMs;
        state.begin(status, location);
      },
      onBody: (bytes) => state.take(bytes),
      onEnd: (isReusable) => {
        if (!isReusable) this.#drop();
        state.end();
      },
    });
    const look = { request, state, reader };
    this.#look = look;
    // So near to its announced end the server may close it while the request travels.
    if (this.#socket !== null && this.#isNearEnd()) this.#drop();
    if (this.#socket !== null) return this.#send(this.#socket, look);
    this.#connect().then(
      (socket) => {
        if (this.#look === look) this.#send(socket, look);
        else this.#drop();
      },
      (error: unknown) => {
        if (this.#look === look) state.break(error, false);
      },
    );
  }

  #send(socket: Socket, { request, state }: Look): void {
    state.isSent();
    socket.write(bytesOf(request));
  }

  async #connect(): Promise<Socket> {
    this.#sockets++;
    this.#answersOnSocket = 0;
    this.#keptUntilMs = null;
    // Whom bytes belong to: those of a socket that was given up are nobody's.
    let current: Socket | null = null;
    const connecting = new AbortController();
    this.#connecting = connecting;
    const { socket, certificateEndMs } = await this.#options.dial(connecting.signal, (bytes) => {
      if (current === null || current === this.#socket) this.#onBytes(bytes);
    });
    this.#connecting = null;
    current = socket;
    this.#socket = socket;
    this.certificateEndMs = certificateEndMs;
    socket.on("error", (error) => this.#onClosed(socket, error));
    socket.on("end", () => this.#onClosed(socket, null));
    socket.on("close", () => this.#onClosed(socket, null));
    return socket;
  }

  #onBytes(bytes: Buffer): void {
    const look = this.#look;
    // Nobody asked: what came would be taken for the next answer.
    if (look === null) return this.#lose();
    try {
      look.reader.push(bytes);
    } catch (error) {
      look.state.break(error, true);
      // The answer was whole, and more followed.
      this.#drop();
    }
  }

  #onClosed(socket: Socket, error: Error | null): void {
    if (socket !== this.#socket) return;
    const look = this.#look;
    if (look === null) return this.#lose();
    this.#drop();
    if (error === null && look.reader.close()) return;
    look.state.break(error ?? new PeerClosedError(), look.reader.hasBegun);
  }

  /** The connection is gone while nothing was asked; that is news unless it was announced. */
  #lose(): void {
    if (this.#socket === null) return;
    this.#drop();
    if (!this.isClosed && !this.#isNearEnd()) this.#options.onLost(this.#answersOnSocket);
  }

  #isNearEnd(): boolean {
    return (
      this.#keptUntilMs !== null &&
      this.#options.clock.monotonicMs() > this.#keptUntilMs - ANNOUNCED_MARGIN_MS
    );
  }

  #drop(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }
}

const MAY_HAVE_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** A check asks the same again and again. */
const encoded = new WeakMap<HttpRequest, Buffer>();

function bytesOf(request: HttpRequest): Buffer {
  const known = encoded.get(request);
  if (known !== undefined) return known;
  const bytes = encode(request);
  encoded.set(request, bytes);
  return bytes;
}

function encode({ method, path, headers, body }: HttpRequest): Buffer {
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  const content = Buffer.from(body ?? "");
  // Whoever may send a body says that there is none (RFC 9110, section 8.6).
  if (body !== null || MAY_HAVE_BODY.has(method)) head += `content-length: ${content.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}\r\n`, "latin1"), content]);
}

function checkClosed(): Error {
  return new Error("the check was closed");
}
