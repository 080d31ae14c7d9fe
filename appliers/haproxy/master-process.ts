import { readFile } from "node:fs/promises";

import { identify } from "../../common/daemon/processes.js";
import type { ProcessId } from "../../common/daemon/processes.js";

/*
 * HAProxy as the system's process table shows it: what is left to prove a reload by when a socket that it
 * answered on has been removed. Linux; elsewhere, or where /proc is closed to us, nothing is known.
 */

/** Start times in seconds are rounded on both sides. */
const START_TOLERANCE_SEC = 2;
/** Linux counts process times in hundredths for everybody, whatever the kernel uses inside. */
const TICKS_PER_SEC = 100;

/**
 * The master of a worker that was seen over a socket (`pid@start`, start in seconds since 1970); null when
 * that is no process of this host: a HAProxy in a container has numbers of its own.
 */
export async function masterOf(worker: string | null): Promise<ProcessId | null> {
  const [pid = "", startSec = ""] = worker?.split("@") ?? [];
  const found = await readStat(Number(pid));
  if (found === null || startSec === "") return null;
  const bootSec = Number(/^btime (\d+)$/m.exec(await textOf("/proc/stat"))?.[1]);
  const ageDifference = Math.abs(bootSec + found.startTicks / TICKS_PER_SEC - Number(startSec));
  const master = await readStat(found.parent);
  // Without master-worker mode the parent is the init process, or a shell.
  if (!(ageDifference <= START_TOLERANCE_SEC) || master?.name !== found.name) return null;
  return identify(master.pid);
}

/** The master in a pid file's first line; null when there is none. */
export async function masterInPidFile(path: string): Promise<ProcessId | null> {
  return identify(pidIn(await textOf(path)));
}

/** The process id that a pid file begins with; NaN when it holds none. A master may list its workers behind itself. */
export function pidIn(text: string): number {
  return Number(/^\s*(\d+)/.exec(text)?.[1]);
}

/** Identity of a master's newest worker; null when it has none. */
export async function newestWorkerOf(master: ProcessId): Promise<string | null> {
  const own = await readStat(master.pid);
  const children = (await textOf(`/proc/${master.pid}/task/${master.pid}/children`)).split(" ");
  const found = await Promise.all(
    children.filter((child) => child !== "").map((pid) => readStat(Number(pid))),
  );
  const workers = found
    .filter((child) => child !== null && child.name === own?.name && !child.isEnding)
    .sort((left, right) => (right?.startTicks ?? 0) - (left?.startTicks ?? 0));
  const [newest] = workers;
  return newest === undefined || newest === null ? null : `process ${newest.pid} ${newest.startTicks}`;
}

type Stat = {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
  readonly startTicks: number;
  readonly isEnding: boolean;
};

async function readStat(pid: number): Promise<Stat | null> {
  if (!Number.isSafeInteger(pid) || pid < 2) return null;
  // The name stands in parentheses and may hold anything, parentheses too.
  const match = /^\d+ \((.*)\) (.*)$/s.exec(await textOf(`/proc/${pid}/stat`));
  if (match === null) return null;
  const [state = "", parent = "", ...rest] = (match[2] ?? "").split(" ");
  const startTicks = Number(rest[17]);
  return {
    pid,
    name: match[1] ?? "",
    parent: Number(parent),
    startTicks,
    isEnding: ["Z", "X", "x"].includes(state),
  };
}

/** Files that are gone, or closed to us, are empty. */
function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
