import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../clock.js";
import type { TlsConfig } from "../config/model.js";
import type { Logger } from "../logger.js";
import { isDue } from "./due.js";
import type { Expected, TlsMaterial } from "./material.js";
import { nameOf, readMaterial } from "./material.js";
import { complaintOfTime, remaining } from "./words.js";

/** Where connections get their certificates: always the newest that were good. */
export interface TlsSource {
  readonly config: TlsConfig;
  readonly material: TlsMaterial;
  /** Milliseconds since the Unix epoch: what judges validity. */
  wallMs(): number;
  /** Called after every change. The returned function ends it. */
  onChange(listener: (material: TlsMaterial) => void): () => void;
  /**
   * Reads the files now. @returns Whether anything changed.
   * @throws ClusterduckError as `readMaterial`; what was there before goes on then.
   */
  reload(): Promise<boolean>;
  close(): void;
}

export type TlsSourceOptions = {
  readonly config: TlsConfig;
  readonly expected: Expected;
  readonly clock: Clock;
  readonly logger: Logger;
};

/** How often the files are read again: soon enough for whoever has just replaced them. */
const LOOK_EVERY_MS = 5_000;
/** How often an end that comes near is told. */
const WARN_EVERY_MS = 86_400_000;

/**
 * Opens certificates and follows their files. A certificate and its key are two files, so they may not fit for a
 * moment while they are replaced: a change that cannot be used is told only when it still cannot at the next look.
 * @throws ClusterduckError as `readMaterial`.
 */
export async function openTlsSource(options: TlsSourceOptions): Promise<TlsSource> {
  const material = await readMaterial(options.config, options.expected);
  return new FileTlsSource(options, material);
}

/** Certificates for one short command: nothing is watched. */
export async function readTlsOnce(options: TlsSourceOptions): Promise<TlsSource> {
  const source = await openTlsSource(options);
  source.close();
  return source;
}

class FileTlsSource implements TlsSource {
  readonly config: TlsConfig;
  readonly #options: TlsSourceOptions;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  #material: TlsMaterial;
  #cancelTimer: () => void = () => undefined;
  #isClosed = false;
  /** The problem of the last look; told when the next one has it too. */
  #problem = "";
  #toldProblem = "";
  #warnedMs = Number.NEGATIVE_INFINITY;

  constructor(options: TlsSourceOptions, material: TlsMaterial) {
    this.#options = options;
    this.config = options.config;
    this.#material = material;
    this.#warn();
    this.#schedule();
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  wallMs(): number {
    return this.#options.clock.wallMs();
  }

  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async reload(): Promise<boolean> {
    const next = await readMaterial(this.config, this.#options.expected);
    this.#problem = this.#toldProblem = "";
    const { ca, cert, key } = this.#material;
    if (isDeepStrictEqual([ca, cert, key], [next.ca, next.cert, next.key])) return false;
    this.#material = next;
    this.#warnedMs = Number.NEGATIVE_INFINITY;
    this.#options.logger.info("tls.reloaded", {
      certificate: nameOf(this.config, "cert"),
      fingerprint: next.own.fingerprint,
      not_after: new Date(next.own.notAfterMs).toISOString(),
    });
    this.#warn();
    for (const listener of this.#listeners) listener(next);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
  }

  #schedule(): void {
    this.#cancelTimer = this.#options.clock.after(LOOK_EVERY_MS, () => void this.#look());
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    try {
      await this.reload();
      this.#warn();
    } catch (error) {
      const problem = String(error);
      if (problem === this.#problem && problem !== this.#toldProblem) {
        this.#toldProblem = problem;
        this.#options.logger.error("tls.reload_failed", { error });
      }
      this.#problem = problem;
    }
    if (!this.#isClosed) this.#schedule();
  }

  /** Once a day while the end is near or past. */
  #warn(): void {
    const { clock, logger } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#warnedMs < WARN_EVERY_MS) return;
    const wallMs = clock.wallMs();
    const parts = [
      ["cert", this.#material.own] as const,
      ...this.#material.authorities.map((authority) => ["ca", authority] as const),
    ];
    for (const [part, certificate] of parts) {
      const file = nameOf(this.config, part);
      const complaint = complaintOfTime(certificate, wallMs);
      if (complaint !== null) {
        logger.error("tls.not_valid", { file, ...complaint });
      } else if (isDue(certificate, wallMs)) {
        const hint = part === "ca" ? "duckctl tls renew --authority" : "duckctl tls renew";
        logger.warn("tls.ends_soon", { file, left: remaining(certificate, wallMs), hint });
      } else continue;
      this.#warnedMs = nowMs;
    }
  }
}
