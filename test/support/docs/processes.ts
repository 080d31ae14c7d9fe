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

/** Those that carry the mark, and their descendants: Redis writes its title over its environment. */
export function processesOf(run: string): readonly number[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({ pid: Number(name), parent: parentOf(Number(name)) }));
  const found = new Set(
    all.filter(({ pid }) => environmentOf(pid).includes(`${RUN_VARIABLE}=${run}`)).map(({ pid }) => pid),
  );
  let size: number;
  do {
    size = found.size;
    for (const { pid, parent } of all) if (parent !== null && found.has(parent)) found.add(pid);
  } while (found.size > size);
  return [...found];
}

/** Null for one that has ended, zombies included. */
function parentOf(pid: number): number | null {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return state === "Z" ? null : Number(parent);
  } catch {
    return null;
  }
}

/** A zombie's is empty: it is as good as gone. */
function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}
