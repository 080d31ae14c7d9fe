import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import { ClusterduckError, messageOf } from "../errors.js";
import { logFilePath, openLogs } from "./log-files.js";
import type { OpenLogs } from "./log-files.js";
import { parseMessage, ROLE_VARIABLE } from "./messages.js";
import type { Role } from "./messages.js";
import { readPidFile } from "./pid-file.js";
import { isRunning } from "./processes.js";

/** How much of its error output a daemon that does not start gets quoted with. */
const ERROR_BYTES = 4_096;

export type LaunchRequest = {
  readonly program: string;
  /** What the daemon is called with: our own arguments without `-d`. */
  readonly args: readonly string[];
  readonly pidFile: string;
  readonly logDir: string;
  /** How long it may take until it says that it is ready. */
  readonly readyTimeoutMs: number;
  /** Script and Node options; default: our own. */
  readonly entry?: string;
  readonly execArgv?: readonly string[];
  readonly clock?: Clock;
};

export type Launched = { readonly pid: number; readonly stdoutLog: string; readonly stderrLog: string };

/** The daemon ended before it was ready. Exit with its code: it knows best what kind of failure it was. */
export class LaunchFailed extends ClusterduckError {
  readonly exitCode: number;

  constructor(message: string, exitCode: number, hint: string) {
    super("COMMAND_FAILED", message, { hint });
    this.exitCode = exitCode;
  }
}

/**
 * Starts the program detached, under a watchdog, and returns when it says that it is ready.
 * @throws ClusterduckError ALREADY_RUNNING, DISK_FAILED, TIMED_OUT, or LaunchFailed with its error output.
 */
export async function launchDaemon(request: LaunchRequest): Promise<Launched> {
  const { program, pidFile, logDir } = request;
  const holder = readPidFile(pidFile);
  if (holder !== null && isRunning(holder)) {
    throw new ClusterduckError(
      "ALREADY_RUNNING",
      `Cannot start ${program}: it runs already, with pid ${holder.pid}`,
      {
        hint: `${program} stop`,
      },
    );
  }
  const logs = openLogs(logDir, program);
  try {
    const watchdog = spawnWatchdog(request, logs);
    await untilReady(watchdog, request, logs);
    if (watchdog.connected) watchdog.disconnect();
    watchdog.unref();
    return {
      pid: watchdog.pid ?? 0,
      stdoutLog: logFilePath(logDir, program, "stdout"),
      stderrLog: logFilePath(logDir, program, "stderr"),
    };
  } finally {
    logs.close();
  }
}

function spawnWatchdog(request: LaunchRequest, logs: OpenLogs): ChildProcess {
  const role: Role = { role: "watchdog", program: request.program, pidFile: request.pidFile };
  const entry = request.entry ?? process.argv[1] ?? "";
  return spawn(process.execPath, [...(request.execArgv ?? process.execArgv), entry, ...request.args], {
    // A session of its own: no terminal's hang-up or Ctrl-C reaches it.
    detached: true,
    stdio: ["ignore", logs.stdout, logs.stderr, "ipc"],
    env: { ...process.env, [ROLE_VARIABLE]: JSON.stringify(role) },
  });
}

function untilReady(watchdog: ChildProcess, request: LaunchRequest, logs: OpenLogs): Promise<void> {
  const { program, readyTimeoutMs, clock = systemClock } = request;
  const stderrLog = logFilePath(request.logDir, program, "stderr");
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null) => {
      cancel();
      for (const event of ["message", "error", "exit", "disconnect"]) watchdog.removeAllListeners(event);
      watchdog.on("error", () => undefined);
      if (error === null) resolve();
      else reject(error);
    };
    const fail = (text: string, exitCode: number) => {
      const output = logs.tail(ERROR_BYTES).trim();
      const message = `Cannot start ${program}: ${text}${output === "" ? "" : `\n${output}`}`;
      settle(new LaunchFailed(message, exitCode, `see ${stderrLog}`));
    };
    const cancel = clock.after(readyTimeoutMs, () => {
      watchdog.kill("SIGTERM");
      settle(
        new ClusterduckError(
          "TIMED_OUT",
          `Cannot start ${program}: it was not ready within ${readyTimeoutMs} ms`,
          {
            hint: `see ${stderrLog}`,
          },
        ),
      );
      if (watchdog.connected) watchdog.disconnect();
      watchdog.unref();
    });
    watchdog.on("message", (value) => {
      const message = parseMessage(value);
      if (message?.kind === "ready") settle(null);
      if (message?.kind === "failed") fail(message.text, message.exitCode);
    });
    watchdog.on("error", (error) => fail(messageOf(error), 1));
    watchdog.on("exit", (code, signal) => {
      const report = () => fail(`its watchdog ended (${code ?? signal ?? "?"})`, code ?? 1);
      // Its last word may still be on the way.
      if (watchdog.connected) watchdog.on("disconnect", report);
      else report();
    });
  });
}
