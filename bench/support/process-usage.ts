import { readFileSync, readdirSync } from "node:fs";

/** What a process has used since it began. */
export type ProcessUsage = {
  /** User and system time of all its threads, milliseconds. Counted in ticks of 10 ms. */
  readonly cpuMs: number;
  readonly rssMb: number;
};

/** The kernel's USER_HZ: 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** @throws Error when there is no such process. */
export function usageOf(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name stands in brackets and may hold blanks; what follows begins with the third field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return { cpuMs: ticks * TICK_MS, rssMb: Number(rss?.[1] ?? Number.NaN) / 1_024 };
}

/** The same of several processes together. */
export function usageOfAll(pids: readonly number[]): ProcessUsage {
  const each = pids.map(usageOf);
  return {
    cpuMs: each.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    rssMb: each.reduce((sum, { rssMb }) => sum + rssMb, 0),
  };
}

/** A process and its children, such as a HAProxy master and its workers. */
export function familyOf(pid: number): readonly number[] {
  const children = readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid;
    } catch {
      return false;
    }
  });
  return [pid, ...children.map(Number)];
}

/** How busy the machine is: load average of the last minute. */
export function loadAverage(): number {
  return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
}
