import { Client } from "undici";
import type { Socket } from "node:net";
import type { Dialled } from "./dial.js";
import { ExchangeHandler } from "./exchange.js";
import type { BodyLimits, Exchange } from "./exchange.js";
import { codeOf, ProtocolError } from "./http-errors.js";

/** We outlast any idle time that a server does not announce: whether it closes is what we want to see. */
const IDLE_MAX_MS = 24 * 60 * 60 * 1000;
/** We close this much before the idle time that a server does announce (`Keep-Alive: timeout=5`). */
const ANNOUNCED_MARGIN_MS = 500;
const MAX_HEADER_BYTES = 16_384;

export type HttpVersion = "1.1" | "2" | "auto";

export type ConnectionOptions = {
  readonly isTls: boolean;
  readonly version: HttpVersion;
  readonly dial: (signal: AbortSignal) => Promise<Dialled>;
  /** The server closed the connection while nothing was asked, without having said so before. */
  readonly onLost: (answers: number) => void;
};

export type HttpRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
};

/**
 * One connection to a node, one request at a time. It is made when first needed and made again when it
 * was closed; `close()` ends it for good.
 */
export class HttpConnection {
  readonly #client: Client;
  readonly #options: ConnectionOptions;
  readonly #closing = new AbortController();
  #socket: Socket | null = null;
  #isBusy = false;
  #answersOnSocket = 0;
  #sockets = 0;
  /** When the certificate ends that the peer showed last, Unix milliseconds. */
  certificateEndMs: number | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#client = new Client(options.isTls ? "https://node" : "http://node", {
      connect: (_options, callback) => {
        this.#connect().then(
          (socket) => callback(null, socket),
          (error: unknown) =>
            callback(error instanceof Error ? error : new Error("aborted", { cause: error }), null),
        );
      },
      allowH2: options.version !== "1.1",
      // The signal of the run is the only deadline.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MAX_MS,
      keepAliveMaxTimeout: IDLE_MAX_MS,
      keepAliveTimeoutThreshold: ANNOUNCED_MARGIN_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // The check itself is the ping.
      pingInterval: 0,
    });
    this.#client.on("disconnect", (_origin, _targets, error) => {
      // UND_ERR_INFO is our own doing: announced idle time over, or `Connection: close` obeyed.
      if (this.#isBusy || this.isClosed || codeOf(error) === "UND_ERR_INFO") return;
      options.onLost(this.#answersOnSocket);
    });
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** How often it was made, successfully or not: a change between two moments tells that it was made anew. */
  get sockets(): number {
    return this.#sockets;
  }

  /** Answers that came over the present socket. From the first on, the server may close it at any moment. */
  get answers(): number {
    return this.#answersOnSocket;
  }

  /** Sends a request and reads its answer. Never throws; closes the connection when cut short. */
  async exchange(request: HttpRequest, limits: BodyLimits, signal: AbortSignal): Promise<Exchange> {
    this.#isBusy = true;
    const result = await new Promise<Exchange>((resolve) => {
      const handler = new ExchangeHandler(limits, (exchange) => {
        signal.removeEventListener("abort", onAbort);
        resolve(exchange);
      });
      const onAbort = () => {
        handler.abort();
        this.close();
      };
      if (signal.aborted) return handler.abort();
      signal.addEventListener("abort", onAbort);
      try {
        this.#client.dispatch(request, handler);
      } catch (error) {
        resolve({ kind: "broken", error, hasAnswerBegun: false });
      }
    });
    this.#isBusy = false;
    if (result.kind === "answered") this.#answersOnSocket++;
    if (result.kind === "aborted" || (result.kind === "answered" && result.isTruncated)) this.close();
    return result;
  }

  close(): void {
    if (this.isClosed) return;
    this.#closing.abort(new Error("the check was closed"));
    this.#client.destroy().catch(() => undefined);
    this.#socket?.destroy();
  }

  async #connect(): Promise<Socket> {
    this.#sockets++;
    const { socket, certificateEndMs } = await this.#options.dial(this.#closing.signal);
    this.#socket = socket;
    this.#answersOnSocket = 0;
    this.certificateEndMs = certificateEndMs;
    if (this.#options.version !== "2") return socket;
    if (!this.#options.isTls) return Object.assign(socket, { alpnProtocol: "h2" });
    if ("alpnProtocol" in socket && socket.alpnProtocol === "h2") return socket;
    socket.destroy();
    throw new ProtocolError("the node does not offer HTTP/2 (ALPN): use http_version 1.1 or auto");
  }
}
