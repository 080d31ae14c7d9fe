import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

/** A process, told apart from a later one with the same number. */
export type ProcessId = {
  readonly pid: number;
  /** Clock ticks since boot at its start. */ readonly startTicks: number;
};

/** The kernel's PF_EXITING: the process is past the point of return, though not yet a zombie. */
const EXITING = 0x4;
/** How long a scan may hold the event loop at a time. Milliseconds. */
const SLICE_MS = 2;

/** What the kernel says of a process now; null: it is gone. Throws when it may not be asked. */
function readStat(pid: number): { readonly isEnding: boolean; readonly startTicks: number } | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return null;
    throw thrown;
  }
  return parseStat(text);
}

/** Reads a line of /proc/PID/stat. The name in it may hold anything, so fields are counted behind it. */
export function parseStat(text: string): { readonly isEnding: boolean; readonly startTicks: number } {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const state = fields[0] ?? "";
  const isEnding = state === "Z" || state === "X" || state === "x" || (Number(fields[6]) & EXITING) !== 0;
  return { isEnding, startTicks: Number(fields[19]) };
}

/** Gone, a zombie, about to be one, or another process by now. False when we may not ask. */
export function hasExited(process: ProcessId): boolean {
  try {
    const stat = readStat(process.pid);
    return stat === null || stat.isEnding || stat.startTicks !== process.startTicks;
  } catch {
    return false;
  }
}

/**
 * Which processes hold these sockets, by inode. Looks at every process that we may look into, a few
 * milliseconds at a time. Processes of another network namespace are marked, for their ports are not ours.
 */
export async function findHolders(
  inodes: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly (ProcessId & { readonly isForeign: boolean })[]>> {
  const holders = new Map<string, (ProcessId & { readonly isForeign: boolean })[]>();
  const ownNetwork = linkOf("/proc/self/ns/net");
  let sliceEndMs = performance.now() + SLICE_MS;
  for (const pid of namesIn("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const found = new Set<string>();
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      const inode = socketInode(linkOf(`/proc/${pid}/fd/${fd}`));
      if (inode !== null && inodes.has(inode)) found.add(inode);
      if (performance.now() < sliceEndMs) continue;
      await nextTurn();
      if (signal.aborted) return new Map();
      sliceEndMs = performance.now() + SLICE_MS;
    }
    if (found.size === 0) continue;
    const holder = describeHolder(Number(pid), ownNetwork);
    if (holder === null) continue;
    for (const inode of found) holders.set(inode, [...(holders.get(inode) ?? []), holder]);
  }
  return holders;
}

function describeHolder(
  pid: number,
  ownNetwork: string | null,
): (ProcessId & { readonly isForeign: boolean }) | null {
  try {
    const stat = readStat(pid);
    if (stat === null) return null;
    const network = linkOf(`/proc/${pid}/ns/net`);
    const isForeign = network !== null && ownNetwork !== null && network !== ownNetwork;
    return { pid, startTicks: stat.startTicks, isForeign };
  } catch {
    return null;
  }
}

function socketInode(link: string | null): string | null {
  return link !== null && link.startsWith("socket:[") ? link.slice(8, -1) : null;
}

/** Processes end while we read, and others are not ours to look into: both read as nothing. */
function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
