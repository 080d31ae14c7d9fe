import type { Dispatcher } from "undici";

/** What came of one request. */
export type Exchange =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly location: string | null;
      /** At most `maxBodyBytes`; empty unless the body was wanted. */
      readonly body: Buffer;
      /** There was more. */
      readonly isTruncated: boolean;
    }
  | { readonly kind: "broken"; readonly error: unknown; readonly hasAnswerBegun: boolean }
  | { readonly kind: "aborted"; readonly phase: Phase; readonly bytesRead: number };

export type Phase = "connecting" | "waiting" | "reading";

export type BodyLimits = {
  readonly isBodyWanted: boolean;
  /** Reading stops here, wanted or not. */
  readonly maxBodyBytes: number;
};

const EMPTY = Buffer.alloc(0);

/** Takes what undici reads of one answer, and no more of it than was allowed. */
export class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #limits: BodyLimits;
  readonly #settle: (exchange: Exchange) => void;
  #phase: Phase = "connecting";
  #status = 0;
  #location: string | null = null;
  #chunks: Buffer[] = [];
  #bytesRead = 0;
  #isSettled = false;

  constructor(limits: BodyLimits, settle: (exchange: Exchange) => void) {
    this.#limits = limits;
    this.#settle = settle;
  }

  onRequestStart(): void {
    this.#phase = "waiting";
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    this.#phase = "reading";
    if (status < 200) return;
    this.#status = status;
    const location = headers["location"];
    this.#location = (Array.isArray(location) ? location[0] : location) ?? null;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = this.#limits.maxBodyBytes - this.#bytesRead;
    this.#bytesRead += chunk.length;
    if (this.#limits.isBodyWanted && room > 0)
      this.#chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    if (chunk.length > room) this.#answered(true);
  }

  onResponseEnd(): void {
    this.#answered(false);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish({ kind: "broken", error, hasAnswerBegun: this.#phase === "reading" });
  }

  abort(): void {
    this.#finish({ kind: "aborted", phase: this.#phase, bytesRead: this.#bytesRead });
  }

  #answered(isTruncated: boolean): void {
    const body = this.#chunks.length === 0 ? EMPTY : Buffer.concat(this.#chunks);
    this.#finish({ kind: "answered", status: this.#status, location: this.#location, body, isTruncated });
  }

  #finish(exchange: Exchange): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#chunks = [];
    this.#settle(exchange);
  }
}
