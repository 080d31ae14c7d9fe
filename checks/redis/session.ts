import type { Clock } from "../../common/clock.js";
import type { InfoOptions } from "../../common/config/checks/info.js";
import type { Observation } from "../../common/model/observation.js";
import type { CheckContext } from "../check.js";
import { abortHandlerOf } from "../abort-handler.js";
import { loadTls, readSecret } from "../tls-options.js";
import { ConnectionError } from "./connection-error.js";
import { ConnectionPool, type Lease } from "./connection-pool.js";
import { RedisConnection, type RedisEndpoint } from "./connection.js";
import { FreshProbe } from "./fresh-probe.js";
import { findingOfError, type Finding } from "./replies.js";

/** How to connect: the part that `basic` and `info` share. */
export type RedisOptions = Pick<InfoOptions, "username" | "password" | "password_file" | "tls" | "database">;

/** Asks an open connection and judges the replies. Rejects with what `RedisConnection.send` throws, and never throws itself. */
export type Ask = (connection: RedisConnection) => Promise<Finding>;

/** What both Redis checks have in common: connections, time limit, fresh connections, errors to findings. */
export class RedisSession {
  readonly #clock: Clock;
  readonly #pool: ConnectionPool;
  readonly #fresh: FreshProbe;

  constructor(context: CheckContext, options: RedisOptions, clock: Clock) {
    const load = (): Promise<RedisEndpoint> => loadEndpoint(context, options);
    const onLost = context.onConnectionLost;
    this.#clock = clock;
    this.#pool = new ConnectionPool(() => new RedisConnection(load, onLost));
    this.#fresh = new FreshProbe({
      make: () => new RedisConnection(load, () => undefined),
      clock,
      timeoutMs: context.config.timeoutMs,
      onLost,
    });
  }

  /** One run. Settles as soon as `signal` aborts; the replies that are then still due keep their connection. */
  run(signal: AbortSignal, ask: Ask): Promise<Observation> {
    const startedAtMs = this.#clock.monotonicMs();
    const lease = this.#pool.lend();
    if (lease.isReused) this.#fresh.onRun();
    // One promise where each step might be one: most runs are a single round trip of a few microseconds' work.
    return new Promise((resolve) => {
      const abort = abortHandlerOf(signal);
      const settle = (finding: Finding): void => {
        if (abort.handle === onAbort) abort.handle = null;
        resolve(this.#observation(finding, lease, this.#clock.monotonicMs() - startedAtMs));
      };
      const onAbort = (): void => {
        lease.abandon();
        settle(outOfTime(lease));
      };
      abort.handle = onAbort;
      if (signal.aborted) onAbort();
      this.#askOn(lease, ask).then(
        (finding) => {
          lease.release();
          settle(finding);
        },
        (thrown: unknown) => {
          lease.release();
          void this.#explain(thrown, lease, signal, ask).then(settle);
        },
      );
    });
  }

  /** A second connection, for looking while the first one waits. */
  lend(): Lease {
    return this.#pool.lend();
  }

  close(): void {
    this.#pool.close();
    this.#fresh.close();
  }

  /**
   * What a failed question says of the service. An old connection may have been closed behind our back, by a
   * proxy or an idle limit. A new one tells, and when the service is gone its refusal is stronger evidence than a
   * close. Never rejects.
   */
  async #explain(thrown: unknown, { isReused }: Lease, signal: AbortSignal, ask: Ask): Promise<Finding> {
    const mayBeStale = isReused && thrown instanceof ConnectionError && isLoss(thrown);
    if (!mayBeStale || signal.aborted) return findingOfError(thrown);
    const lease = this.#pool.lend();
    try {
      return await this.#askOn(lease, ask);
    } catch (again) {
      return findingOfError(again);
    } finally {
      lease.release();
    }
  }

  #askOn({ connection }: Lease, ask: Ask): Promise<Finding> {
    if (connection.isOpen && connection.warning === null) return ask(connection);
    return this.#openAndAsk(connection, ask);
  }

  async #openAndAsk(connection: RedisConnection, ask: Ask): Promise<Finding> {
    if (!connection.isOpen) {
      await connection.open();
      this.#fresh.onOpened();
    }
    const finding = await ask(connection);
    if (connection.warning === null || finding.outcome !== "passed") return finding;
    return { ...finding, warnings: [...(finding.warnings ?? []), connection.warning] };
  }

  #observation(finding: Finding, lease: Lease, latencyMs: number): Observation {
    const complaint = this.#fresh.complaint;
    if (finding.outcome !== "passed" || complaint === null || !lease.isReused)
      return { ...finding, latencyMs };
    return { ...complaint, latencyMs, ...(finding.facts === undefined ? {} : { facts: finding.facts }) };
  }
}

function outOfTime({ connection }: Lease): Finding {
  const detail = connection.isOpen
    ? "connected, but no reply within the time limit"
    : "no connection within the time limit";
  return { outcome: "failed", reason: "timedOut", detail };
}

function isLoss(error: ConnectionError): boolean {
  return error.kind === "closed" || error.kind === "socket";
}

/** Files are read for every connection: a rotated password counts from the next one on. */
async function loadEndpoint({ address }: CheckContext, options: RedisOptions): Promise<RedisEndpoint> {
  const [secret, tls] = await Promise.all([
    readSecret(options.password_file, "password_file"),
    loadTls(options.tls, address),
  ]);
  return {
    address,
    tls,
    username: options.username,
    // Editors and `echo` end a file with a newline that is not part of the password.
    password: secret?.replace(/\r?\n$/, "") ?? options.password,
    database: options.database ?? 0,
  };
}
