import type { ProcessEnvironment } from "./environment.js";

/** Who starts us again when we end: then a watchdog of our own would only be in the way. */
export type Supervisor = "systemd" | "container" | "watchdog";

/**
 * The supervisor above this process; null when there is none. INVOCATION_ID alone proves little: shells
 * in a user's session inherit it from the session's service.
 */
export function supervisorOf(env: ProcessEnvironment, pid: number): Supervisor | null {
  if (env["CLUSTERDUCK_DAEMON"] !== undefined) return "watchdog";
  if (env["NOTIFY_SOCKET"] !== undefined) return "systemd";
  if (env["INVOCATION_ID"] !== undefined && env["SYSTEMD_EXEC_PID"] === String(pid)) return "systemd";
  return pid === 1 ? "container" : null;
}
