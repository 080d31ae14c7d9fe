import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import { ClusterduckError } from "../errors.js";
import type { Logger } from "../logger.js";
import { parseMessage, readRole, ROLE_VARIABLE } from "./messages.js";
import type { DaemonMessage } from "./messages.js";
import { claimPidFile } from "./pid-file.js";
import type { PidFile } from "./pid-file.js";
import { handleSignals } from "./signals.js";
import type { StopSignal } from "./signals.js";
import { createServiceManager } from "./systemd.js";

/** How long a lost watchdog may take to be gone; a process with much memory or a core dump needs seconds. */
const INHERIT_TIMEOUT_MS = 60_000;
const INHERIT_RETRY_MS = 50;

export type ServiceOptions = {
  readonly program: string;
  readonly logger: Logger;
  /** null: none. A daemon's watchdog holds it instead of us. */
  readonly pidFile: string | null;
  readonly onStop: (signal: StopSignal) => void;
  /** Reads the configuration again; what it throws is for the caller to log. */
  readonly onReload?: () => void | Promise<void>;
  readonly clock?: Clock;
};

/** The program's side of being a service, whoever supervises it. */
export interface Service {
  /** Ready to work: the launcher of a daemon returns, systemd goes on. */
  ready(status?: string): Promise<void>;
  /** Call when all is done: removes the pid file, and lets the process end. Idempotent. */
  close(): Promise<void>;
}

/**
 * Call once, when the configuration is known and before anything is opened.
 * @throws ClusterduckError ALREADY_RUNNING, DISK_FAILED
 */
export function enterService(options: ServiceOptions): Service {
  const { program, logger } = options;
  const role = readRole(process.env);
  // What we start ourselves is no part of this daemon.
  delete process.env[ROLE_VARIABLE];
  const clock = options.clock ?? systemClock;
  const closing = new AbortController();
  let isClosed = false;
  let pidFile: PidFile | null =
    role === null && options.pidFile !== null ? claimPidFile(options.pidFile, program) : null;
  const onOrphaned = () => {
    if (isClosed || role === null) return;
    // Nobody would restart us, yet ending now would make it worse. `stop` must find us.
    logger.error("daemon.watchdog_lost", { pidFile: role.pidFile });
    void inherit(role.pidFile);
  };
  if (role !== null) {
    process.on("disconnect", onOrphaned);
    // The listener alone would keep the process alive.
    process.channel?.unref();
  }
  const manager = createServiceManager({ logger, clock });
  const stopListening = handleSignals({
    onStop: (signal) => {
      void manager.stopping();
      options.onStop(signal);
    },
    ...(options.onReload === undefined ? {} : { onReload: () => void reload(options.onReload) }),
  });
  return {
    ready: async (status) => {
      tellWatchdog({ kind: "ready" });
      await manager.ready(status);
    },
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      closing.abort();
      stopListening();
      manager.close();
      process.off("disconnect", onOrphaned);
      if (role !== null && process.connected) process.disconnect();
      pidFile?.remove();
    },
  };

  /** A dying process closes its channel before it is gone: until then the pid file is still its own. */
  async function inherit(path: string): Promise<void> {
    const deadlineMs = clock.monotonicMs() + INHERIT_TIMEOUT_MS;
    for (;;) {
      try {
        pidFile = claimPidFile(path, program);
        return;
      } catch (error) {
        const isHeld = error instanceof ClusterduckError && error.code === "ALREADY_RUNNING";
        if (!isHeld || clock.monotonicMs() >= deadlineMs) {
          logger.error("daemon.pid_file_lost", { error });
          return;
        }
      }
      await clock.sleep(INHERIT_RETRY_MS, closing.signal);
      if (isClosed) return;
    }
  }

  async function reload(read: ServiceOptions["onReload"]): Promise<void> {
    await manager.reloading();
    try {
      await read?.();
    } finally {
      // systemd waits for this whether the new configuration was taken or not.
      await manager.ready();
    }
  }

  function tellWatchdog(message: DaemonMessage): void {
    if (role === null || process.send === undefined || parseMessage(message) === null) return;
    process.send(message);
  }
}
