import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import { messageOf } from "../errors.js";
import { createLogger } from "../logger.js";
import type { Logger } from "../logger.js";
import { afterCrash, NO_CRASHES } from "./backoff.js";
import type { Crashes } from "./backoff.js";
import { parseMessage, ROLE_VARIABLE } from "./messages.js";
import type { DaemonMessage, Role } from "./messages.js";
import { claimPidFile } from "./pid-file.js";
import type { PidFile } from "./pid-file.js";

/** Passed on to the child. What they mean is its business. */
const FORWARDED = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * Runs the program as a child and starts it again when it dies, waiting longer each time. Ends when the
 * child ends well (exit 0), when it was told to, or when the first start fails.
 * @returns the exit code; set it rather than call process.exit(), as the last word to the launcher may be on its way.
 */
export async function runWatchdog(role: Role, clock: Clock = systemClock): Promise<number> {
  const logger = createLogger({ program: role.program }).child("watchdog");
  let pidFile: PidFile;
  try {
    pidFile = claimPidFile(role.pidFile, role.program);
  } catch (thrown) {
    tellLauncher({ kind: "failed", text: messageOf(thrown), exitCode: 1 });
    return 1;
  }
  try {
    return await new Watchdog(role, logger, clock).run();
  } finally {
    pidFile.remove();
  }
}

type Ended = { readonly code: number | null; readonly signal: string | null; readonly wasReady: boolean };

class Watchdog {
  readonly #role: Role;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  #child: ChildProcess | null = null;
  #wasEverReady = false;

  constructor(role: Role, logger: Logger, clock: Clock) {
    this.#role = role;
    this.#logger = logger;
    this.#clock = clock;
  }

  async run(): Promise<number> {
    for (const name of FORWARDED) process.on(name, () => this.#onSignal(name));
    let crashes: Crashes = NO_CRASHES;
    for (;;) {
      const startedMs = this.#clock.monotonicMs();
      const ended = await this.#runChild();
      const exitCode = ended.code ?? 1;
      const isWanted = this.#stopping.signal.aborted || ended.code === 0;
      if (!this.#wasEverReady && !isWanted) {
        const how =
          ended.signal === null ? `it exited with code ${exitCode}` : `it was ended by ${ended.signal}`;
        tellLauncher({ kind: "failed", text: `${how} before it was ready`, exitCode });
      }
      if (isWanted || !this.#wasEverReady)
        return this.#stopping.signal.aborted ? (ended.code ?? 0) : exitCode;
      const next = afterCrash(crashes, this.#clock.monotonicMs() - startedMs);
      crashes = next.crashes;
      this.#logger.error("daemon.child_died", {
        code: ended.code,
        signal: ended.signal,
        crashesInARow: crashes.inARow,
        restartInMs: next.delayMs,
      });
      await this.#clock.sleep(next.delayMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return 0;
    }
  }

  #runChild(): Promise<Ended> {
    return new Promise((resolve) => {
      const role: Role = { ...this.#role, role: "child" };
      const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
        env: { ...process.env, [ROLE_VARIABLE]: JSON.stringify(role) },
      });
      let wasReady = false;
      this.#child = child;
      this.#logger.info("daemon.child_started", { pid: child.pid });
      const settle = (code: number | null, signal: string | null) => {
        this.#child = null;
        resolve({ code, signal, wasReady });
      };
      child.on("message", (value) => {
        if (parseMessage(value)?.kind !== "ready") return;
        wasReady = true;
        this.#wasEverReady = true;
        tellLauncher({ kind: "ready" });
      });
      child.on("error", (error) => {
        this.#logger.error("daemon.child_not_started", { error });
        settle(1, null);
      });
      child.on("exit", settle);
    });
  }

  #onSignal(name: (typeof FORWARDED)[number]): void {
    if (name !== "SIGHUP") this.#stopping.abort();
    this.#child?.kill(name);
  }
}

/** The launcher listens until the first word; afterwards nobody does. */
function tellLauncher(message: DaemonMessage): void {
  if (process.send === undefined || !process.connected) return;
  process.send(message, undefined, undefined, () => {
    if (process.connected) process.disconnect();
  });
}
