import { rmSync } from "node:fs";
import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import { ClusterduckError, messageOf } from "../errors.js";
import { readPidFile } from "./pid-file.js";
import { isRunning } from "./processes.js";

const LOOK_EVERY_MS = 50;

export type StopRequest = {
  readonly program: string;
  readonly pidFile: string;
  /** How long it may take to end. */
  readonly timeoutMs: number;
  /** SIGKILL when the time is over. It then has no chance to hand over what it was doing. */
  readonly isForced?: boolean;
  readonly clock?: Clock;
};

export type StopOutcome =
  | { readonly kind: "stopped"; readonly pid: number; readonly wasKilled: boolean }
  /** Nothing to stop. A stale pid file was removed. */
  | { readonly kind: "notRunning"; readonly wasStale: boolean };

/**
 * Ends the daemon that the pid file names and waits until it is gone. Only that very process is ever
 * signalled: a pid that was used again since belongs to somebody else.
 * @throws ClusterduckError TIMED_OUT when it does not end in time, COMMAND_FAILED when it is not ours to signal.
 */
export async function stopDaemon(request: StopRequest): Promise<StopOutcome> {
  const { program, pidFile, timeoutMs, isForced = false, clock = systemClock } = request;
  const holder = readPidFile(pidFile);
  if (holder === null || !isRunning(holder)) {
    const wasStale = holder !== null;
    if (wasStale) rmSync(pidFile, { force: true });
    return { kind: "notRunning", wasStale };
  }
  const { pid } = holder;
  const hasEnded = async (withinMs: number): Promise<boolean> => {
    const deadlineMs = clock.monotonicMs() + withinMs;
    while (isRunning(holder)) {
      if (clock.monotonicMs() >= deadlineMs) return false;
      await clock.sleep(LOOK_EVERY_MS);
    }
    return true;
  };
  signal(program, pid, "SIGTERM");
  if (await hasEnded(timeoutMs)) return { kind: "stopped", pid, wasKilled: false };
  if (!isForced) {
    throw new ClusterduckError(
      "TIMED_OUT",
      `Cannot stop ${program}: process ${pid} got SIGTERM and still runs after ${timeoutMs} ms`,
      { hint: `wait and try again, or ${program} stop --force` },
    );
  }
  signal(program, pid, "SIGKILL");
  if (!(await hasEnded(timeoutMs))) {
    throw new ClusterduckError(
      "TIMED_OUT",
      `Cannot stop ${program}: process ${pid} got SIGKILL and still runs`,
    );
  }
  rmSync(pidFile, { force: true });
  return { kind: "stopped", pid, wasKilled: true };
}

/**
 * Asks the daemon to read its configuration again (SIGHUP).
 * @throws ClusterduckError NOT_RUNNING, COMMAND_FAILED
 */
export function reloadDaemon(program: string, pidFile: string): number {
  const pid = assertRuns(program, pidFile);
  signal(program, pid, "SIGHUP");
  return pid;
}

/** @returns the process id of what would be reloaded. @throws ClusterduckError NOT_RUNNING */
export function assertRuns(program: string, pidFile: string): number {
  const holder = readPidFile(pidFile);
  if (holder !== null && isRunning(holder)) return holder.pid;
  throw new ClusterduckError(
    "NOT_RUNNING",
    `Cannot reload ${program}: no running process in pid file "${pidFile}"`,
  );
}

function signal(program: string, pid: number, name: "SIGTERM" | "SIGKILL" | "SIGHUP"): void {
  try {
    process.kill(pid, name);
  } catch (cause) {
    // It ended between the look and the signal.
    if (cause instanceof Error && "code" in cause && cause.code === "ESRCH") return;
    throw new ClusterduckError(
      "COMMAND_FAILED",
      `Cannot send ${name} to ${program}, process ${pid}: ${messageOf(cause)}`,
      {
        cause,
        hint: "run this as the user that started it, or as root",
      },
    );
  }
}
