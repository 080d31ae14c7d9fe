import { Redis, type RedisOptions } from "ioredis";
import type { Address } from "../../common/model/address.js";
import type { TlsMaterial } from "../tls-options.js";
import { ConnectionError, isReplyError, toConnectionError } from "./connection-error.js";
import { guardReplies } from "./reply-guard.js";
import { isRefusalToConnect } from "./replies.js";

export type RedisEndpoint = {
  readonly address: Address;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  readonly tls: TlsMaterial | undefined;
};

/** Shows in CLIENT LIST whose connections these are. */
const CLIENT_NAME = "clusterduck-check";
/** A connect that nobody gives up on ends by itself after this long. */
const CONNECT_LIMIT_MS = 30_000;

/**
 * One connection to one Redis. ioredis must neither hide nor mend anything here: it does not reconnect,
 * queue, resend, or wait for a server that is loading, and the handshake is ours, because ioredis prints
 * a needless password to the console and goes on after a failed SELECT.
 */
export class RedisConnection {
  readonly #load: () => Promise<RedisEndpoint>;
  readonly #onIdleLoss: () => void;
  readonly #guard = guardReplies((error) => this.#fail(error));
  #redis: Redis | null = null;
  #opening: Promise<void> | null = null;
  #failure: ConnectionError | null = null;
  #isOpen = false;
  #isEnded = false;
  #pending = 0;
  /** What the service said in the handshake that does not keep it from serving. */
  warning: string | null = null;

  /**
   * @param load Reads the endpoint, with its password and TLS files, when the connection opens.
   * @param onIdleLoss The service ended the connection while nobody waited for a reply.
   */
  constructor(load: () => Promise<RedisEndpoint>, onIdleLoss: () => void) {
    this.#load = load;
    this.#onIdleLoss = onIdleLoss;
  }

  /** Connected, and the handshake is over. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#isEnded;
  }

  /** Replies that are still due. */
  get pending(): number {
    return this.#pending;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Connects, authenticates and selects the database; the same promise for every caller.
   * @throws ConnectionError, the server's ReplyError when it refuses the handshake, or ClusterduckError
   * for a file that cannot be read.
   */
  open(): Promise<void> {
    this.#opening ??= this.#connect();
    return this.#opening;
  }

  /**
   * Sends one command of an open connection. Replies come in the order of sending.
   * @throws ConnectionError, or the server's ReplyError.
   */
  async send(name: string, args: readonly string[]): Promise<unknown> {
    if (this.#redis === null || this.#isEnded || this.#failure !== null) throw this.#whyBroken();
    if (this.#pending === 0) this.#guard.reset();
    this.#pending++;
    try {
      return await this.#redis.call(name, ...args);
    } catch (thrown) {
      if (isReplyError(thrown)) throw thrown;
      throw this.#whyBroken();
    } finally {
      this.#pending--;
    }
  }

  /** Ends the connection at once; whoever waits for a reply gets a ConnectionError. Idempotent. */
  destroy(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#redis === null) return;
    this.#redis.disconnect();
    // Absent until ioredis has made it, whatever its type says.
    (this.#redis.stream as RedisConnectionStream | undefined)?.destroy();
  }

  async #connect(): Promise<void> {
    try {
      const endpoint = await this.#load();
      if (this.#isEnded) throw this.#whyBroken();
      const redis = this.#start(endpoint);
      await redis.connect().catch(() => {
        throw this.#whyBroken();
      });
      redis.stream.prependListener("data", this.#guard.onData);
      await this.#greet(endpoint);
      if (this.#failure !== null) throw this.#failure;
      this.#isOpen = true;
    } catch (thrown) {
      this.destroy();
      throw thrown;
    }
  }

  #start(endpoint: RedisEndpoint): Redis {
    const redis = new Redis(optionsOf(endpoint));
    this.#redis = redis;
    redis.on("error", (error: Error) => this.#fail(toConnectionError(error)));
    redis.on("end", () => {
      const isIdleLoss = this.isOpen && this.#pending === 0;
      this.#isEnded = true;
      if (isIdleLoss) this.#onIdleLoss();
    });
    return redis;
  }

  async #greet({ username, password, database }: RedisEndpoint): Promise<void> {
    const steps: Promise<unknown>[] = [];
    if (password !== undefined) {
      const credentials = username === undefined ? [password] : [username, password];
      steps.push(this.send("AUTH", credentials).catch((thrown: unknown) => this.#tolerateOpenServer(thrown)));
    }
    if (database !== 0) steps.push(this.send("SELECT", [String(database)]));
    steps.push(
      this.send("CLIENT", ["SETNAME", CLIENT_NAME]).catch((thrown: unknown) => {
        // A name that the server does not take is no reason to judge it, unless it takes no client at all.
        if (isReplyError(thrown) && isRefusalToConnect(thrown.message)) throw thrown;
      }),
    );
    const results = await Promise.allSettled(steps);
    const refused = results.find((result) => result.status === "rejected");
    if (refused !== undefined) throw refused.reason;
  }

  /** A password where none is needed: the service works, and its operator should know. */
  #tolerateOpenServer(thrown: unknown): void {
    const isNeedless =
      isReplyError(thrown) && /without any password configured|no password is set/.test(thrown.message);
    if (!isNeedless) throw thrown;
    this.warning = "the check has a password, but the server needs none";
  }

  #fail(error: ConnectionError): void {
    this.#failure ??= error;
    // A socket's error is followed by its close; after anything else nothing it says can be trusted.
    if (error.kind !== "socket") this.destroy();
  }

  /** The first cause known, rather than ioredis's "Connection is closed". */
  #whyBroken(): ConnectionError {
    return this.#failure ?? new ConnectionError("closed", "the service closed the connection");
  }
}

type RedisConnectionStream = Redis["stream"];

function optionsOf({ address, tls }: RedisEndpoint) {
  return {
    ...(address.kind === "tcp" ? { host: address.host, port: address.port } : { path: address.path }),
    ...(tls === undefined ? {} : { tls }),
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    disableClientInfo: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: CONNECT_LIMIT_MS,
    // RESP2: HELLO would only add to the handshake, and old servers and proxies do not know it.
    protocol: 2,
  } as const satisfies RedisOptions;
}
