import { systemClock } from "../../common/clock.js";
import type { Clock } from "../../common/clock.js";
import { websocketOptions } from "../../common/config/checks/websocket.js";
import type { WebsocketOptions } from "../../common/config/checks/websocket.js";
import { messageOf } from "../../common/errors.js";
import type { Observation } from "../../common/model/observation.js";
import type { Check, CheckContext } from "../check.js";
import { createAuthorization } from "../http/authorization.js";
import type { Authorization } from "../http/authorization.js";
import { judgeExpiry } from "../http/certificate.js";
import { codeOf, isClosedByPeer, observationOfHttpError } from "../http/http-errors.js";
import { observationOf } from "../http/judge.js";
import { targetOf } from "../http/target.js";
import { parseOptions } from "../parse-options.js";
import { compileFlow } from "./flow.js";
import type { Flow, FlowResult } from "./flow.js";
import { FlowTimedOut, HandshakeRefused, SessionEnded, WebSocketSession } from "./session.js";
import type { SessionOptions } from "./session.js";

/** One in use and one standing by for a run that overlaps it. */
const IDLE_MAX = 2;

/**
 * Checks a node by a WebSocket conversation, on a session of its own for each run or, with `persistent`,
 * on one that stays open.
 * @throws ClusterduckError CONFIG_INVALID
 */
export function createWebsocketCheck(context: CheckContext, clock: Clock = systemClock): Check {
  return new WebsocketCheck(context, parseOptions(websocketOptions, context.config), clock);
}

class WebsocketCheck implements Check {
  readonly #options: WebsocketOptions;
  readonly #clock: Clock;
  readonly #flow: Flow;
  readonly #authorization: Authorization;
  readonly #session: Omit<SessionOptions, "headers">;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #running = new Set<AbortController>();
  #idle: WebSocketSession[] = [];
  #isClosed = false;

  constructor(context: CheckContext, options: WebsocketOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#flow = compileFlow(options);
    this.#authorization = createAuthorization(options, clock);
    const target = targetOf(options.url, options.tls, context.address);
    this.#headers = headersOf(options, target.host);
    this.#session = {
      address: context.address,
      target,
      tls: options.tls,
      // WebSocket over HTTP/2 is another protocol (RFC 8441), which hardly any server speaks.
      alpn: ["http/1.1"],
      subprotocols: options.subprotocol ?? [],
      maxPayloadBytes: options.max_payload,
      clock,
      onLost: (session) => {
        if (!this.#idle.includes(session)) return;
        this.#idle = this.#idle.filter((other) => other !== session);
        context.onConnectionLost();
      },
    };
  }

  async run(signal: AbortSignal): Promise<Observation> {
    const startMs = this.#clock.monotonicMs();
    const controller = new AbortController();
    const onAbort = () => controller.abort();
    if (signal.aborted || this.#isClosed) controller.abort();
    else signal.addEventListener("abort", onAbort);
    this.#running.add(controller);
    try {
      const { result, certificateEndMs } = await this.#converse(controller.signal);
      return this.#observe(result, certificateEndMs, this.#clock.monotonicMs() - startMs);
    } catch (thrown) {
      const latencyMs = this.#clock.monotonicMs() - startMs;
      return controller.signal.aborted && !(thrown instanceof FlowTimedOut)
        ? { outcome: "failed", reason: "timedOut", detail: "no connection in time", latencyMs }
        : observationOfSessionError(thrown, latencyMs);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#running.delete(controller);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const controller of this.#running) controller.abort();
    for (const session of this.#idle.splice(0)) session.terminate();
  }

  async #converse(
    signal: AbortSignal,
  ): Promise<{ readonly result: FlowResult; readonly certificateEndMs: number | null }> {
    const kept = this.#idle.pop();
    if (kept !== undefined) {
      try {
        return await this.#playOn(kept, signal);
      } catch (thrown) {
        // The server ended the idle session just when we used it: ask once more, on a new one.
        if (!isIdleRace(thrown)) throw thrown;
      }
    }
    return this.#playOn(await this.#open(signal), signal);
  }

  async #open(signal: AbortSignal): Promise<WebSocketSession> {
    const authorization = await this.#authorization();
    const headers = authorization === undefined ? this.#headers : { authorization, ...this.#headers };
    return WebSocketSession.open({ ...this.#session, headers }, signal);
  }

  async #playOn(session: WebSocketSession, signal: AbortSignal) {
    const { certificateEndMs } = session;
    try {
      const result = await session.play(this.#flow, signal);
      const isKept =
        this.#options.persistent &&
        result.outcome === "passed" &&
        session.isOpen &&
        !this.#isClosed &&
        this.#idle.length < IDLE_MAX;
      if (isKept) this.#idle.push(session);
      else if (result.outcome === "passed") session.close();
      else session.terminate();
      return { result, certificateEndMs };
    } catch (thrown) {
      session.terminate();
      throw thrown;
    }
  }

  #observe(result: FlowResult, certificateEndMs: number | null, latencyMs: number): Observation {
    const expiry = judgeExpiry(certificateEndMs, this.#options.certificate_expiry_days, this.#clock.wallMs());
    return observationOf(result, {
      latencyMs,
      slowMs: this.#options.slow,
      warnings: expiry?.kind === "warn" ? [expiry.text] : [],
      degradation: expiry?.kind === "degrade" ? { reason: "certificateExpiry", detail: expiry.text } : null,
    });
  }
}

function isIdleRace(thrown: unknown): boolean {
  return thrown instanceof SessionEnded ? !thrown.hasAnswered : isClosedByPeer(thrown);
}

function observationOfSessionError(thrown: unknown, latencyMs: number): Observation {
  const failed = (reason: "timedOut" | "badStatus" | "closed" | "tooLarge" | "protocol"): Observation => ({
    outcome: "failed",
    reason,
    detail: messageOf(thrown),
    latencyMs,
  });
  if (thrown instanceof FlowTimedOut) return failed("timedOut");
  if (thrown instanceof HandshakeRefused) return failed("badStatus");
  if (thrown instanceof SessionEnded) return failed("closed");
  const code = codeOf(thrown);
  if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" || code === "WS_ERR_TOO_MANY_BUFFERED_PARTS")
    return failed("tooLarge");
  if (code.startsWith("WS_ERR_")) return failed("protocol");
  return observationOfHttpError(thrown, latencyMs);
}

function headersOf(options: WebsocketOptions, host: string): Readonly<Record<string, string>> {
  const headers: Record<string, string> = { host, "user-agent": "clusterduck" };
  for (const [name, value] of Object.entries(options.headers)) headers[name.toLowerCase()] = value;
  return headers;
}
