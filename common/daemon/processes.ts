import { readFileSync } from "node:fs";

/**
 * A process for good: pids are used again, so its start time and the boot stand beside it. Where there
 * is no /proc the start is "" and the pid has to do.
 */
export type ProcessId = {
  readonly pid: number;
  /** Clock ticks since boot, as in /proc/PID/stat. */
  readonly start: string;
  readonly boot: string;
};

/** The process with this pid as it is now; null when there is none, or only a zombie of it. */
export function identify(pid: number): ProcessId | null {
  if (!Number.isSafeInteger(pid) || pid < 1 || !exists(pid)) return null;
  const stat = readText(`/proc/${pid}/stat`);
  // The command stands in parentheses and may hold any character, parentheses too.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  if (state === "Z" || state === "X") return null;
  return { pid, start: fields[19] ?? "", boot: readText("/proc/sys/kernel/random/boot_id").trim() };
}

/** Whether that very process still runs, and not another one with its pid. */
export function isRunning(known: ProcessId): boolean {
  const now = identify(known.pid);
  return now !== null && now.start === known.start && now.boot === known.boot;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it is there, and belongs to somebody else.
    return thrown instanceof Error && "code" in thrown && thrown.code === "EPERM";
  }
}

/** Files of /proc are made when read and never block; one that is gone is empty. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
