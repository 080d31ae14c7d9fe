import type { DaemonProgram } from "./command-line.js";
import { readRole } from "./messages.js";
import { runWatchdog } from "./watchdog.js";

/**
 * The main of a daemon's program. Started again by `-d` it is the watchdog, which starts the daemon proper. A
 * watchdog lives for months and does little: it loads nothing of the program itself.
 */
export async function startProgram(load: () => Promise<DaemonProgram>): Promise<void> {
  const role = readRole(process.env);
  if (role?.role === "watchdog") {
    process.exitCode = await runWatchdog(role);
    return;
  }
  const { runDaemon } = await import("./command-line.js");
  await runDaemon(await load());
}
