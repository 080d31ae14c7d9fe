import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Address } from "../../common/model/address.js";
import { sharedReads } from "../shared-reads.js";
import type { TlsMaterial } from "../tls-options.js";
import { ConnectionError, toConnectionError } from "./connection-error.js";
import { encodeCommand } from "./encode-command.js";
import { isRefusalToConnect } from "./replies.js";
import { ReplyError, ReplyReader, type Reply } from "./reply-reader.js";

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

/** Somebody who waits for a reply. */
type Waiter = { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void };

/**
 * One connection to one Redis, as thin as a check needs it: it neither hides nor mends anything, so it does not
 * reconnect, queue, resend, or wait for a server that is loading. RESP2, because HELLO would only add to the
 * handshake, and old servers and proxies do not know it.
 */
export class RedisConnection {
  readonly #load: () => Promise<RedisEndpoint>;
  readonly #onIdleLoss: () => void;
  readonly #reader = new ReplyReader((reply) => this.#onReply(reply));
  /** In the order of their commands, which is that of the replies. */
  #waiters: Waiter[] = [];
  #socket: Socket | null = null;
  #opening: Promise<void> | null = null;
  #failure: ConnectionError | null = null;
  #isOpen = false;
  #isEnded = false;
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
    return this.#waiters.length;
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
  send(name: string, args: readonly string[]): Promise<Reply> {
    return this.sendBytes(encodeCommand(name, args));
  }

  /** The same for a command that is sent again and again, encoded once. */
  sendBytes(command: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const socket = this.#socket;
      if (socket === null || this.#isEnded || this.#failure !== null) return reject(this.#whyBroken());
      if (this.#waiters.length === 0) this.#reader.resetLimit();
      this.#waiters.push({ resolve, reject });
      socket.write(command);
    });
  }

  /** Ends the connection at once; whoever waits for a reply gets a ConnectionError. Idempotent. */
  destroy(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#socket?.destroy();
    this.#rejectAll();
  }

  async #connect(): Promise<void> {
    try {
      const endpoint = await this.#load();
      if (this.#isEnded) throw this.#whyBroken();
      await this.#start(endpoint);
      await this.#greet(endpoint);
      if (this.#failure !== null) throw this.#failure;
      this.#isOpen = true;
    } catch (thrown) {
      this.destroy();
      throw thrown;
    }
  }

  /** Resolves when commands can be sent. */
  #start({ address, tls }: RedisEndpoint): Promise<void> {
    const where =
      address.kind === "tcp" ? { host: address.host, port: address.port } : { path: address.path };
    const onBytes = (bytes: Buffer): void => this.#onBytes(bytes);
    const socket =
      tls === undefined
        ? connect({ ...where, onread: sharedReads(onBytes) })
        : connectTls({ ...where, ...tls }).on("data", onBytes);
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(CONNECT_LIMIT_MS, () =>
      this.#fail(toConnectionError(Object.assign(new Error("connect ETIMEDOUT"), { code: "ETIMEDOUT" }))),
    );
    socket.on("error", (error) => (this.#failure ??= toConnectionError(error)));
    socket.on("end", () => socket.destroy());
    return new Promise((resolve, reject) => {
      socket.once(tls === undefined ? "connect" : "secureConnect", () => {
        socket.setTimeout(0);
        resolve();
      });
      socket.once("close", () => {
        this.#onClose();
        reject(this.#whyBroken());
      });
    });
  }

  #onBytes(bytes: Buffer): void {
    if (this.#isEnded) return;
    try {
      this.#reader.push(bytes);
    } catch (thrown) {
      // Nothing that it says can be trusted any more.
      this.#fail(toConnectionError(thrown));
    }
  }

  #onReply(reply: Reply): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      // How a server with too many clients says so.
      const text = reply instanceof ReplyError ? reply.message : JSON.stringify(reply).slice(0, 120);
      throw new ConnectionError("protocol", text);
    }
    if (reply instanceof ReplyError) waiter.reject(reply);
    else waiter.resolve(reply);
  }

  #onClose(): void {
    const isIdleLoss = this.isOpen && this.#waiters.length === 0;
    this.#isEnded = true;
    this.#rejectAll();
    if (isIdleLoss) this.#onIdleLoss();
  }

  #rejectAll(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(this.#whyBroken());
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
        if (!(thrown instanceof ReplyError) || isRefusalToConnect(thrown.message)) throw thrown;
      }),
    );
    const results = await Promise.allSettled(steps);
    const refused = results.find((result) => result.status === "rejected");
    if (refused !== undefined) throw refused.reason;
  }

  /** A password where none is needed: the service works, and its operator should know. */
  #tolerateOpenServer(thrown: unknown): void {
    const isNeedless =
      thrown instanceof ReplyError &&
      /without any password configured|no password is set/.test(thrown.message);
    if (!isNeedless) throw thrown;
    this.warning = "the check has a password, but the server needs none";
  }

  #fail(error: ConnectionError): void {
    this.#failure ??= error;
    this.destroy();
  }

  /** The first cause known. */
  #whyBroken(): ConnectionError {
    return this.#failure ?? new ConnectionError("closed", "the service closed the connection");
  }
}
