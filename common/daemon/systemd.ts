import { execFile } from "node:child_process";
import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import { messageOf } from "../errors.js";
import type { Logger } from "../logger.js";
import type { ProcessEnvironment } from "./environment.js";

const NOTIFY_TIMEOUT_MS = 5_000;

/** Tells the service manager how we are. Does nothing where there is none. See sd_notify(3). */
export interface ServiceManager {
  ready(status?: string): Promise<void>;
  reloading(): Promise<void>;
  stopping(): Promise<void>;
  /** One line for `systemctl status`. */
  status(text: string): Promise<void>;
  /** Ends the heartbeat. */
  close(): void;
}

export type ServiceManagerOptions = {
  readonly logger: Logger;
  readonly env?: ProcessEnvironment;
  readonly pid?: number;
  readonly clock?: Clock;
  /** Sends assignments such as `READY=1`; default: the program `systemd-notify`. */
  readonly send?: (assignments: readonly string[]) => Promise<void>;
};

/**
 * Speaks to systemd when NOTIFY_SOCKET is set. With WATCHDOG_USEC it also sends a heartbeat from the event
 * loop, at half that time: a loop that hangs sends none, and systemd starts us again. Node has no datagram
 * unix sockets, so the program `systemd-notify` carries the words; the unit needs NotifyAccess=all.
 */
export function createServiceManager(options: ServiceManagerOptions): ServiceManager {
  const { logger, env = process.env, pid = process.pid, clock = systemClock, send = systemdNotify } = options;
  const isThere = (env["NOTIFY_SOCKET"] ?? "") !== "";
  const say = async (...assignments: readonly string[]): Promise<void> => {
    if (!isThere) return;
    try {
      await send(assignments);
    } catch (error) {
      // The service is well even when it cannot say so; systemd will tell on its side.
      logger.warn("systemd.notify_failed", { assignments: assignments.join(" "), error });
    }
  };
  let cancelBeat = () => {};
  const beatMs = isThere ? heartbeatMs(env, pid) : null;
  if (beatMs !== null) {
    const beat = () => {
      cancelBeat = clock.after(beatMs, beat);
      void say("WATCHDOG=1");
    };
    beat();
  }
  return {
    ready: (status) => say("READY=1", ...(status === undefined ? [] : [statusLine(status)])),
    reloading: () => say("RELOADING=1"),
    stopping: () => say("STOPPING=1"),
    status: (text) => say(statusLine(text)),
    close: () => cancelBeat(),
  };
}

/** Half of what systemd waits; null without a watchdog, or when it is meant for another process. */
function heartbeatMs(env: ProcessEnvironment, pid: number): number | null {
  const limitUs = Number(env["WATCHDOG_USEC"] ?? "");
  const isOurs = env["WATCHDOG_PID"] === undefined || env["WATCHDOG_PID"] === String(pid);
  return isOurs && Number.isFinite(limitUs) && limitUs > 0 ? limitUs / 2_000 : null;
}

function statusLine(text: string): string {
  return `STATUS=${text.replaceAll(/\s+/g, " ")}`;
}

function systemdNotify(assignments: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile("systemd-notify", [...assignments], { timeout: NOTIFY_TIMEOUT_MS }, (error) => {
      if (error === null) resolve();
      else reject(new Error(messageOf(error), { cause: error }));
    });
  });
}
