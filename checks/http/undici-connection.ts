import type { Socket } from "node:net";
import type { Client, Dispatcher } from "undici";
import { ANNOUNCED_MARGIN_MS, MAX_HEADER_BYTES } from "./connection.js";
import type { ConnectionOptions, HttpConnection, HttpRequest } from "./connection.js";
import { ExchangeState } from "./exchange.js";
import type { BodyLimits, Exchange } from "./exchange.js";
import { codeOf, ProtocolError } from "./http-errors.js";

/** We outlast any idle time that a server does not announce: whether it closes is what we want to see. */
const IDLE_MAX_MS = 24 * 60 * 60 * 1000;

/**
 * HTTP/2, or whichever version TLS chooses. The client is loaded when the first such check runs: most agents
 * have none, and it costs megabytes.
 */
export class UndiciConnection implements HttpConnection {
  readonly #options: ConnectionOptions;
  readonly #closing = new AbortController();
  #client: Client | null = null;
  #socket: Socket | null = null;
  #isBusy = false;
  #answersOnSocket = 0;
  #sockets = 0;
  certificateEndMs: number | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  get sockets(): number {
    return this.#sockets;
  }

  get answers(): number {
    return this.#answersOnSocket;
  }

  async exchange(request: HttpRequest, limits: BodyLimits, signal: AbortSignal): Promise<Exchange> {
    this.#isBusy = true;
    this.#client ??= await this.#createClient();
    const client = this.#client;
    const result = await new Promise<Exchange>((resolve) => {
      const state = new ExchangeState(limits, (exchange) => {
        signal.removeEventListener("abort", onAbort);
        resolve(exchange);
      });
      const onAbort = () => {
        state.abort();
        this.close();
      };
      if (signal.aborted) return state.abort();
      signal.addEventListener("abort", onAbort);
      try {
        client.dispatch(request, handlerFor(state));
      } catch (error) {
        state.break(error, false);
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
    this.#client?.destroy().catch(() => undefined);
    this.#socket?.destroy();
  }

  async #createClient(): Promise<Client> {
    const { Client: UndiciClient } = await import("undici");
    const { isTls, onLost } = this.#options;
    const client = new UndiciClient(isTls ? "https://node" : "http://node", {
      connect: (_options, callback) => {
        this.#connect().then(
          (socket) => callback(null, socket),
          (error: unknown) =>
            callback(error instanceof Error ? error : new Error("aborted", { cause: error }), null),
        );
      },
      allowH2: true,
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
    client.on("disconnect", (_origin, _targets, error) => {
      // UND_ERR_INFO is our own doing: announced idle time over, or `Connection: close` obeyed.
      if (this.#isBusy || this.isClosed || codeOf(error) === "UND_ERR_INFO") return;
      onLost(this.#answersOnSocket);
    });
    if (this.isClosed) client.destroy().catch(() => undefined);
    return client;
  }

  async #connect(): Promise<Socket> {
    this.#sockets++;
    const { socket, certificateEndMs } = await this.#options.dial(this.#closing.signal, null);
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

/** What undici reads of an answer, told to the exchange. */
function handlerFor(state: ExchangeState): Dispatcher.DispatchHandler {
  return {
    onRequestStart: () => state.isSent(),
    onResponseStart: (_controller, status, headers) => {
      const location = headers["location"];
      // Interim answers come here too.
      if (status >= 200) state.begin(status, (Array.isArray(location) ? location[0] : location) ?? null);
    },
    onResponseData: (_controller, chunk) => state.take(chunk),
    onResponseEnd: () => state.end(),
    onResponseError: (_controller, error) => state.break(error, state.phase === "reading"),
  };
}
