import { connect, type Socket } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";
import { systemClock, type Clock } from "../common/clock.js";
import { tcpOptions, type TcpOptions } from "../common/config/checks/tcp.js";
import type { Address } from "../common/model/address.js";
import type { Observation, Reason } from "../common/model/observation.js";
import type { Check, CheckContext } from "./check.js";
import { parseOptions } from "./parse-options.js";
import { reasonOfError } from "./socket-errors.js";
import { converse, stepsOf, type ConversationEnd, type TcpStep } from "./tcp-conversation.js";
import { certificateWarning, loadTls, type TlsMaterial } from "./tls-options.js";

type Result =
  | { readonly kind: "passed"; readonly warnings: readonly string[] }
  | { readonly kind: "failed"; readonly reason: Reason; readonly detail: string; readonly isLoss: boolean }
  | { readonly kind: "ours"; readonly reason: Reason; readonly detail: string };

/**
 * Check `tcp`: connects, and with `send` and `expect` or a `flow` talks. Without `expect` it only proves that
 * the kernel takes connections: a hung process passes.
 * @throws ClusterduckError CONFIG_INVALID for options that its schema refuses.
 */
export function createTcpCheck(context: CheckContext, clock: Clock = systemClock): Check {
  return new TcpCheck(context, clock);
}

class TcpCheck implements Check {
  readonly #context: CheckContext;
  readonly #clock: Clock;
  readonly #options: TcpOptions;
  readonly #steps: readonly TcpStep[];
  readonly #sockets = new Set<Socket>();
  /** Kept between runs when the check is persistent, and nobody's while a run uses it. */
  #idle: Socket | null = null;
  #isClosed = false;

  constructor(context: CheckContext, clock: Clock) {
    this.#context = context;
    this.#clock = clock;
    this.#options = parseOptions(tcpOptions, context.config);
    this.#steps = stepsOf(this.#options);
  }

  async run(signal: AbortSignal): Promise<Observation> {
    const startedAtMs = this.#clock.monotonicMs();
    const kept = this.#takeIdle();
    let result = await this.#look(kept, signal);
    // A kept connection may have been closed behind our back: a new one tells.
    if (kept !== null && result.kind === "failed" && result.isLoss && !signal.aborted) {
      result = await this.#look(null, signal);
    }
    return toObservation(result, this.#clock.monotonicMs() - startedAtMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#idle = null;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Never rejects. Uses `kept`, or a connection of its own. */
  async #look(kept: Socket | null, signal: AbortSignal): Promise<Result> {
    let socket = kept;
    const onAbort = (): void => {
      socket?.destroy();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (socket === null) {
        const tls = await loadTls(this.#options.tls, this.#context.address);
        if (signal.aborted || this.#isClosed) return timedOut("no connection within the time limit");
        socket = open(this.#context.address, tls);
        this.#track(socket);
        const error = await connected(socket);
        if (signal.aborted) return timedOut("no connection within the time limit");
        if (error !== null) return ofError(error);
      }
      const end = await converse(socket, this.#steps);
      if (end.kind !== "done" && signal.aborted) return timedOut(this.#overdue(end));
      return this.#judge(end, socket);
    } catch (thrown) {
      return ofError(thrown);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #judge(end: ConversationEnd, socket: Socket): Result {
    switch (end.kind) {
      case "done": {
        const warning = this.#warningOf(socket);
        this.#keepOrEnd(socket);
        return { kind: "passed", warnings: warning === undefined ? [] : [warning] };
      }
      case "error":
        return ofError(end.error);
      case "closed":
      case "mismatch":
        socket.destroy();
        return { kind: "failed", reason: end.kind, detail: end.detail, isLoss: end.kind === "closed" };
    }
  }

  #warningOf(socket: Socket): string | undefined {
    if (!(socket instanceof TLSSocket)) return undefined;
    return certificateWarning(socket, this.#options.certificate_expiry_days, this.#clock.wallMs());
  }

  #overdue(end: ConversationEnd): string {
    return "detail" in end ? `${end.detail} within the time limit` : "no answer within the time limit";
  }

  #takeIdle(): Socket | null {
    const socket = this.#idle;
    this.#idle = null;
    return socket;
  }

  /** With overlapping runs one connection is kept. */
  #keepOrEnd(socket: Socket): void {
    if (!this.#options.persistent || this.#idle !== null || this.#isClosed || socket.destroyed) {
      socket.destroy();
      return;
    }
    this.#idle = socket;
    // What arrives unasked must not be taken for the next run's answer.
    socket.resume();
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (this.#idle !== socket) return;
      this.#idle = null;
      if (!this.#isClosed) this.#context.onConnectionLost();
    });
  }
}

function open(address: Address, tls: TlsMaterial | undefined): Socket {
  const to = address.kind === "tcp" ? { host: address.host, port: address.port } : { path: address.path };
  return tls === undefined ? connect(to) : connectTls({ ...to, ...tls });
}

/** The error that kept the socket from connecting (and securing); null: it has. */
function connected(socket: Socket): Promise<Error | null> {
  const event = socket instanceof TLSSocket ? "secureConnect" : "connect";
  return new Promise((resolve) => {
    const finish = (error: Error | null): void => {
      socket.off(event, onConnect).off("error", finish).off("close", onClose);
      resolve(error);
    };
    const onConnect = (): void => finish(null);
    const onClose = (): void =>
      finish(Object.assign(new Error("the service closed the connection"), { code: "ERR_SOCKET_CLOSED" }));
    socket.on(event, onConnect).on("error", finish).on("close", onClose);
  });
}

function ofError(error: unknown): Result {
  const { reason, detail, isObserverFault } = reasonOfError(error);
  if (isObserverFault) return { kind: "ours", reason, detail };
  return { kind: "failed", reason, detail, isLoss: reason === "reset" || reason === "closed" };
}

function timedOut(detail: string): Result {
  return { kind: "failed", reason: "timedOut", detail, isLoss: false };
}

function toObservation(result: Result, latencyMs: number): Observation {
  switch (result.kind) {
    case "passed":
      return {
        outcome: "passed",
        latencyMs,
        ...(result.warnings.length === 0 ? {} : { warnings: result.warnings }),
      };
    case "failed":
      return { outcome: "failed", reason: result.reason, detail: result.detail, latencyMs };
    case "ours":
      return { outcome: "inconclusive", reason: result.reason, detail: result.detail, latencyMs };
  }
}
