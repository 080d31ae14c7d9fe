import type { Clock } from "../../common/clock.js";
import type { Dialled } from "./dial.js";
import type { BodyLimits, Exchange } from "./exchange.js";

/** We close this much before the idle time that a server announces (`Keep-Alive: timeout=5`). Milliseconds. */
export const ANNOUNCED_MARGIN_MS = 500;
export const MAX_HEADER_BYTES = 16_384;

export type HttpVersion = "1.1" | "2" | "auto";

export type ConnectionOptions = {
  readonly isTls: boolean;
  readonly version: HttpVersion;
  readonly clock: Clock;
  /** Connects. `onBytes` gets what is received, and keeps nothing of it; null: the socket is read as a stream. */
  readonly dial: (signal: AbortSignal, onBytes: ((bytes: Buffer) => void) | null) => Promise<Dialled>;
  /** The server closed the connection while nothing was asked, without having said so before. */
  readonly onLost: (answers: number) => void;
};

export type HttpRequest = {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
};

/**
 * One connection to a node, one request at a time. It is made when first needed and made again when it
 * was closed; `close()` ends it for good.
 */
export interface HttpConnection {
  readonly isClosed: boolean;
  /** How often it was made, successfully or not: a change between two moments tells that it was made anew. */
  readonly sockets: number;
  /** Answers that came over the present socket. From the first on, the server may close it at any moment. */
  readonly answers: number;
  /** When the certificate ends that the peer showed last, Unix milliseconds. */
  readonly certificateEndMs: number | null;
  /** Sends a request and reads its answer. Never throws; closes the connection when cut short. */
  exchange(request: HttpRequest, limits: BodyLimits, signal: AbortSignal): Promise<Exchange>;
  close(): void;
}
