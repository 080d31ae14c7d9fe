import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Environment variable that marks everything a test run started, daemons and their children too. */
export const RUN_VARIABLE = "DUCK_TEST_RUN";

/** Ends every process that carries this run's mark, by its pid, and waits until none is left. */
export async function endProcessesOf(run: string): Promise<void> {
  for (;;) {
    const pids = processesOf(run);
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
    await delay(20);
  }
}

export function processesOf(run: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => environmentOf(pid).includes(`${RUN_VARIABLE}=${run}`));
}

/** A zombie's is empty: it is as good as gone. */
function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}
