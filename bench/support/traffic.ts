import { connect } from "node:net";

/** One request over a fresh connection. Times are this process's `performance.now()`. */
type Sample = {
  readonly startedMs: number;
  /** The port of the server that answered; null: none did in time. */
  readonly server: number | null;
};

export type TrafficOptions = {
  /** The proxy's port. */
  readonly port: number;
  readonly kind: "http" | "redis";
  /** Time between two requests. */
  readonly everyMs: number;
};

const ANSWER_WITHIN_MS = 300;
/** What the timer of a hanging request may be late. */
const SETTLE_SLACK_MS = 200;
const REQUESTS = {
  http: "GET / HTTP/1.0\r\n\r\n",
  redis: "*2\r\n$3\r\nGET\r\n$6\r\nwhoami\r\n",
} as const;

/** A steady stream of requests through a proxy, each of which tells who was behind it. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#ask(), options.everyMs);
  }

  /** Ends the stream. */
  close(): void {
    clearInterval(this.#timer);
  }

  forget(): void {
    this.#samples.length = 0;
  }

  /**
   * When requests began to go well for good: the first of at least `goodMs` without one that failed or that
   * `faulty` answered. Null: not yet.
   */
  avoidsSince(faulty: number, sinceMs: number, goodMs: number): number | null {
    // One that hangs shows only when it is given up: what began since then cannot be judged yet.
    const settledMs = performance.now() - ANSWER_WITHIN_MS - SETTLE_SLACK_MS;
    const asked = this.#since(sinceMs).filter(({ startedMs }) => startedMs < settledMs);
    const lastBad = asked.findLastIndex(({ server }) => server === null || server === faulty);
    const firstGood = asked[lastBad + 1];
    const newest = asked.at(-1);
    if (firstGood === undefined || newest === undefined) return null;
    return newest.startedMs - firstGood.startedMs >= goodMs ? firstGood.startedMs : null;
  }

  /** When `server` first answered a request that began after `sinceMs`; null: not yet. */
  reachesSince(server: number, sinceMs: number): number | null {
    return this.#since(sinceMs).find((sample) => sample.server === server)?.startedMs ?? null;
  }

  #since(sinceMs: number): readonly Sample[] {
    return this.#samples
      .filter(({ startedMs }) => startedMs >= sinceMs)
      .sort((one, other) => one.startedMs - other.startedMs);
  }

  async #ask(): Promise<void> {
    const startedMs = performance.now();
    this.#samples.push({ startedMs, server: await this.#answer() });
  }

  #answer(): Promise<number | null> {
    const { port, kind } = this.#options;
    return new Promise((resolve) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      let text = "";
      const settle = (server: number | null): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(server);
      };
      const timer = setTimeout(() => settle(null), ANSWER_WITHIN_MS);
      socket.on("connect", () => socket.write(REQUESTS[kind]));
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        const server = serverIn(text, kind);
        if (server !== null) settle(server);
      });
      socket.on("error", () => settle(null));
      socket.on("close", () => settle(null));
    });
  }
}

function serverIn(text: string, kind: TrafficOptions["kind"]): number | null {
  const pattern = kind === "http" ? /^HTTP\/1\.[01] 200 [^]*\r\n\r\n(\d{4,5})$/ : /^\$\d+\r\n(\d{4,5})\r\n$/;
  const match = pattern.exec(text);
  return match === null ? null : Number(match[1]);
}
