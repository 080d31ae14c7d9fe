import { httpOptions } from "../../common/config/checks/http.js";
import type { HttpOptions } from "../../common/config/checks/http.js";
import { systemClock } from "../../common/clock.js";
import type { Clock } from "../../common/clock.js";
import { nodeKey } from "../../common/model/node.js";
import type { Facts, Observation } from "../../common/model/observation.js";
import type { Check, CheckContext } from "../check.js";
import { parseOptions } from "../parse-options.js";
import { createAuthorization } from "./authorization.js";
import type { Authorization } from "./authorization.js";
import { judgeExpiry } from "./certificate.js";
import type { HttpConnection, HttpRequest } from "./connection.js";
import { Connections } from "./connections.js";
import { dial } from "./dial.js";
import type { BodyLimits, Exchange } from "./exchange.js";
import { countRun, endLook, initialFreshLook, judgeFreshLook } from "./fresh-look.js";
import type { FreshJudgement, FreshLook } from "./fresh-look.js";
import { isClosedByPeer, observationOfHttpError } from "./http-errors.js";
import { compileExpectation, judgeAnswer, observationOf } from "./judge.js";
import type { Expectation } from "./judge.js";
import { redirectedTarget, targetOf } from "./target.js";
import type { Target } from "./target.js";

/**
 * Checks a node by an HTTP request over a connection that stays open. Now and then a new connection is
 * tried beside it (fresh-look.ts).
 * @throws ClusterduckError CONFIG_INVALID
 */
export function createHttpCheck(context: CheckContext, clock: Clock = systemClock): Check {
  return new HttpCheck(context, parseOptions(httpOptions, context.config), clock);
}

class HttpCheck implements Check {
  readonly #options: HttpOptions;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #target: Target;
  readonly #expectation: Expectation;
  readonly #authorization: Authorization;
  readonly #request: HttpRequest;
  readonly #limits: BodyLimits;
  readonly #connections: Connections;
  #freshLook: FreshLook;
  #factsStatus = 0;
  #facts: Facts = {};

  constructor({ address, node, config, onConnectionLost }: CheckContext, options: HttpOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#timeoutMs = config.timeoutMs;
    const target = targetOf(options.url, options.tls, address);
    this.#target = target;
    this.#expectation = compileExpectation(options);
    this.#authorization = createAuthorization(options, clock);
    const headers = headersOf(options, target);
    this.#request = { method: options.method, path: target.path, headers, body: options.body ?? null };
    const { body, maxBodyBytes } = this.#expectation;
    this.#limits = { isBodyWanted: body !== null, maxBodyBytes };
    const version = options.http_version;
    const alpn = version === "1.1" ? ["http/1.1"] : version === "2" ? ["h2"] : ["h2", "http/1.1"];
    this.#connections = new Connections(
      {
        isTls: target.isTls,
        version,
        clock,
        dial: (signal, onBytes) => dial({ address, target, tls: options.tls, alpn }, signal, onBytes),
      },
      onConnectionLost,
    );
    this.#freshLook = initialFreshLook(options.fresh_every, nodeKey(node));
  }

  async run(signal: AbortSignal): Promise<Observation> {
    const every = this.#options.fresh_every;
    // Each run on a connection of its own leaves no old connection to compare with.
    if (every === 1) {
      const connection = this.#connections.fresh();
      const observation = await this.#look(connection, signal);
      this.#connections.drop(connection);
      return observation;
    }
    const { look, isDue } = countRun(this.#freshLook, every);
    this.#freshLook = look;
    const connection = this.#connections.take();
    // Beside an old connection only: a new one is a fresh look itself.
    if (isDue && connection.answers > 0) void this.#lookAfresh();
    else if (isDue) this.#freshLook = { ...look, isUnderWay: false };
    const observation = await this.#look(connection, signal);
    this.#connections.give(connection);
    return observation;
  }

  close(): void {
    this.#connections.close();
  }

  /** Tries a new connection in the background, within a time of its own; it then replaces the oldest. */
  async #lookAfresh(): Promise<void> {
    const connection = this.#connections.fresh();
    const timeout = new AbortController();
    const cancel = this.#clock.after(this.#timeoutMs, () => timeout.abort());
    const observation = await this.#look(connection, timeout.signal);
    cancel();
    this.#freshLook = endLook(this.#freshLook, observation);
    if (observation.outcome === "passed" || observation.outcome === "degraded")
      this.#connections.adopt(connection);
    else this.#connections.drop(connection);
  }

  async #look(connection: HttpConnection, signal: AbortSignal): Promise<Observation> {
    const startMs = this.#clock.monotonicMs();
    const elapsedMs = () => this.#clock.monotonicMs() - startMs;
    let request = this.#request;
    try {
      const authorization = this.#authorization();
      const value = typeof authorization === "object" ? await authorization : authorization;
      if (value !== undefined)
        request = { ...request, headers: { authorization: value, ...request.headers } };
    } catch (thrown) {
      return observationOfHttpError(thrown, elapsedMs());
    }
    const socketsBefore = connection.sockets;
    let result = await this.#ask(connection, request, signal);
    if (isKeepAliveRace(result, connection)) result = await this.#ask(connection, request, signal);
    // A new connection speaks for itself: doubts about new connections are no evidence against it.
    const isNew = connection.sockets !== socketsBefore;
    const fresh = isNew ? NO_DOUBT : judgeFreshLook(this.#freshLook);
    const observation = this.#observe(result, connection, { fresh, latencyMs: elapsedMs() });
    // And one that works answers them.
    if (isNew && this.#freshLook.last !== null && observation.outcome !== "failed") {
      this.#freshLook = endLook(this.#freshLook, observation);
    }
    return observation;
  }

  /** Asks, and follows redirects on the same node. */
  #ask(connection: HttpConnection, request: HttpRequest, signal: AbortSignal): Promise<Exchange> {
    if (this.#options.redirects === 0) return connection.exchange(request, this.#limits, signal);
    return this.#follow(connection, request, signal);
  }

  async #follow(connection: HttpConnection, first: HttpRequest, signal: AbortSignal): Promise<Exchange> {
    const { redirects } = this.#options;
    let request = first;
    let target = this.#target;
    for (let followed = 0; ; followed++) {
      const exchange = await connection.exchange(request, this.#limits, signal);
      if (exchange.kind !== "answered" || followed >= redirects) return exchange;
      if (!isRedirect(exchange.status) || exchange.location === null) return exchange;
      const next = redirectedTarget(target, exchange.location);
      if (next === null) return exchange;
      target = next;
      request = { ...request, ...redirectedMethod(request, exchange.status), path: next.path };
    }
  }

  /** The same object as long as the status stays: thousands of answers a second say the same. */
  #factsOf(status: number): Facts {
    if (status !== this.#factsStatus) {
      this.#factsStatus = status;
      this.#facts = { status: String(status) };
    }
    return this.#facts;
  }

  #observe(
    result: Exchange,
    connection: HttpConnection,
    { fresh, latencyMs }: { readonly fresh: FreshJudgement; readonly latencyMs: number },
  ): Observation {
    if (result.kind === "aborted") {
      const detail = DETAIL_OF_PHASE[result.phase](result.bytesRead);
      return { outcome: "failed", reason: "timedOut", detail, latencyMs };
    }
    if (result.kind === "broken") return observationOfHttpError(result.error, latencyMs);
    const expiry = judgeExpiry(
      connection.certificateEndMs,
      this.#options.certificate_expiry_days,
      this.#clock.wallMs(),
    );
    const judgement = judgeAnswer(result, this.#expectation);
    const isOutvoted = judgement.outcome !== "failed" && fresh.kind === "failed";
    return observationOf(isOutvoted ? { ...fresh, outcome: "failed" } : judgement, {
      latencyMs,
      slowMs: this.#options.slow,
      warnings: [
        ...(expiry?.kind === "warn" ? [expiry.text] : []),
        ...(fresh.kind === "warn" ? [fresh.text] : []),
      ],
      degradation:
        expiry?.kind === "degrade"
          ? { reason: "certificateExpiry", detail: expiry.text }
          : fresh.kind === "degraded"
            ? { reason: fresh.reason, detail: fresh.detail }
            : null,
      facts: this.#factsOf(result.status),
    });
  }
}

const NO_DOUBT: FreshJudgement = { kind: "nothing" };

const DETAIL_OF_PHASE = {
  connecting: () => "no connection in time",
  waiting: () => "no answer in time",
  reading: (bytes: number) => `the answer did not end in time, after ${bytes} bytes of its body`,
} as const;

/**
 * The server closed an idle connection just when we used it. That is its right (RFC 9112, section 9.3)
 * and says nothing about its health, so the run asks once more, over a new connection.
 */
function isKeepAliveRace(result: Exchange, connection: HttpConnection): boolean {
  return (
    result.kind === "broken" &&
    !result.hasAnswerBegun &&
    connection.answers > 0 &&
    !connection.isClosed &&
    isClosedByPeer(result.error)
  );
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

/** As browsers do: 303 always, 301 and 302 after a POST, ask again with GET and without a body. */
function redirectedMethod(
  request: { readonly method: string; readonly body: string | null },
  status: number,
): { readonly method: string; readonly body: string | null } {
  const becomesGet = status === 303 ? request.method !== "HEAD" : status <= 302 && request.method === "POST";
  return becomesGet ? { method: "GET", body: null } : { method: request.method, body: request.body };
}

function headersOf(options: HttpOptions, target: Target): Readonly<Record<string, string>> {
  const headers: Record<string, string> = { host: target.host, "user-agent": "clusterduck", accept: "*/*" };
  for (const [name, value] of Object.entries(options.headers)) headers[name.toLowerCase()] = value;
  return headers;
}
