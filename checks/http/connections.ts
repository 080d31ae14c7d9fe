import type { ConnectionOptions, HttpConnection } from "./connection.js";
import { Http1Connection } from "./http1-connection.js";
import { UndiciConnection } from "./undici-connection.js";

/** One in use and one standing by for a run that overlaps it. More are closed after use. */
const IDLE_MAX = 2;

/** The connections of one check. */
export class Connections {
  readonly #options: Omit<ConnectionOptions, "onLost">;
  readonly #onLost: () => void;
  readonly #open = new Set<HttpConnection>();
  #idle: HttpConnection[] = [];
  #isClosed = false;
  /** The server has shown that it keeps connections; one that never does is not news each time. */
  #isKeptAlive = false;

  constructor(options: Omit<ConnectionOptions, "onLost">, onLost: () => void) {
    this.#options = options;
    this.#onLost = onLost;
  }

  /** An idle connection, or a new one when all are in use. */
  take(): HttpConnection {
    return this.#idle.pop() ?? this.fresh();
  }

  /** A connection that was not used before. */
  fresh(): HttpConnection {
    const connection = openConnection({ ...this.#options, onLost: (answers) => this.#lost(answers) });
    this.#open.add(connection);
    if (this.#isClosed) connection.close();
    return connection;
  }

  /** Gives a connection back after use. */
  give(connection: HttpConnection): void {
    if (this.#isClosed || connection.isClosed || this.#idle.length >= IDLE_MAX) return this.drop(connection);
    if (connection.answers > 1) this.#isKeptAlive = true;
    this.#idle.push(connection);
  }

  /** Prefers this connection to the idle ones, the oldest of which goes: names may lead elsewhere by now. */
  adopt(connection: HttpConnection): void {
    const oldest = this.#idle.shift();
    if (oldest !== undefined) this.drop(oldest);
    this.give(connection);
  }

  drop(connection: HttpConnection): void {
    connection.close();
    this.#open.delete(connection);
    this.#idle = this.#idle.filter((other) => other !== connection);
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of [...this.#open]) this.drop(connection);
  }

  #lost(answers: number): void {
    const isNews = this.#isKeptAlive;
    this.#isKeptAlive = answers > 1;
    if (isNews) this.#onLost();
  }
}

/** HTTP/2, and what is only chosen in the TLS handshake, is a client's work; the usual HTTP/1.1 needs none. */
function openConnection(options: ConnectionOptions): HttpConnection {
  const isHttp1 = options.version === "1.1" || (options.version === "auto" && !options.isTls);
  return isHttp1 ? new Http1Connection(options) : new UndiciConnection(options);
}
