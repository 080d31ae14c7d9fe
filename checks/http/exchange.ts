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

/** What has been seen of one exchange so far; tells its end once, and keeps no more of a body than was allowed. */
export class ExchangeState {
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

  /** Connected, and the request is on its way. */
  isSent(): void {
    this.#phase = "waiting";
  }

  /** The headers of the answer have come. */
  begin(status: number, location: string | null): void {
    this.#phase = "reading";
    this.#status = status;
    this.#location = location;
  }

  /** Takes a part of the body, which belongs to the caller again afterwards. */
  take(chunk: Buffer): void {
    const room = this.#limits.maxBodyBytes - this.#bytesRead;
    this.#bytesRead += chunk.length;
    if (this.#limits.isBodyWanted && room > 0) this.#chunks.push(Buffer.from(chunk.subarray(0, room)));
    if (chunk.length > room) this.#answered(true);
  }

  end(): void {
    this.#answered(false);
  }

  break(error: unknown, hasAnswerBegun: boolean): void {
    this.#finish({ kind: "broken", error, hasAnswerBegun });
  }

  abort(): void {
    this.#finish({ kind: "aborted", phase: this.#phase, bytesRead: this.#bytesRead });
  }

  get phase(): Phase {
    return this.#phase;
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
