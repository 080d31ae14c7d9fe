import { readFileSync } from "node:fs";
import { link, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { ClusterduckError, messageOf } from "../../../common/errors.js";
import type { DiskLock } from "./disk.js";

/** Who holds a directory. The start time tells a process from a later one with the same pid. */
type Holder = {
  readonly pid: number;
  /** Kernel ticks since its boot; empty where the system does not tell. */
  readonly startedAt: string;
  readonly bootId: string;
  readonly nonce: string;
};

const LOCK_FILE = "LOCK";

/**
 * Takes a directory for this process. Node has no flock, so the lock is a file that names its holder,
 * and one whose holder is dead is taken over. Two that find the same dead holder cannot both win:
 * each must first create the claim file named after that holder's nonce, and then see the lock unchanged.
 * @throws ClusterduckError LOG_LOCKED naming the pid that holds it.
 */
export async function lockDirectory(directory: string): Promise<DiskLock> {
  const path = join(directory, LOCK_FILE);
  const self = describeSelf();
  const text = JSON.stringify(self);
  for (;;) {
    if (await createExclusively(path, text)) return { release: () => release(path, self) };
    const holder = await readHolder(path);
    if (holder === null) continue;
    if (holder !== "unreadable" && isAlive(holder)) throw locked(directory, holder.pid);
    if (await takeOver(directory, holder, text)) return { release: () => release(path, self) };
  }
}

async function takeOver(directory: string, dead: Holder | "unreadable", text: string): Promise<boolean> {
  const path = join(directory, LOCK_FILE);
  const nonce = dead === "unreadable" ? "unreadable" : dead.nonce;
  const claim = join(directory, `${LOCK_FILE}.claim-${nonce}`);
  if (!(await createExclusively(claim, text))) {
    const claimant = await readHolder(claim);
    if (claimant === null) return false;
    if (claimant !== "unreadable" && isAlive(claimant)) throw locked(directory, claimant.pid);
    await removeIfThere(claim);
    return false;
  }
  try {
    const now = await readHolder(path);
    const isUnchanged = now === "unreadable" ? dead === "unreadable" : now !== null && now.nonce === nonce;
    if (!isUnchanged) return false;
    const next = join(directory, `${LOCK_FILE}.next-${nonce}`);
    await writeFile(next, text, { mode: 0o600 });
    await rename(next, path);
    return true;
  } finally {
    await removeIfThere(claim);
  }
}

async function release(path: string, self: Holder): Promise<void> {
  const holder = await readHolder(path);
  if (holder !== null && holder !== "unreadable" && holder.nonce === self.nonce) await removeIfThere(path);
}

/** The file appears with all its content or not at all: half a lock would look like a dead holder's. */
async function createExclusively(path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeFile(temporary, text, { flag: "wx", mode: 0o600 });
    try {
      await link(temporary, path);
      return true;
    } finally {
      await removeIfThere(temporary);
    }
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    const isFull = (thrown as NodeJS.ErrnoException).code === "ENOSPC";
    throw new ClusterduckError(
      isFull ? "DISK_FULL" : "DISK_FAILED",
      `Cannot create lock "${path}": ${messageOf(thrown)}`,
      {
        cause: thrown,
        hint: isFull
          ? "Free space on that file system, then start again"
          : "The directory must exist and this user must be able to write to it",
      },
    );
  }
}

/** Null: there is no such file. "unreadable": the machine died before its content was on the disk. */
async function readHolder(path: string): Promise<Holder | "unreadable" | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new ClusterduckError("DISK_FAILED", `Cannot read lock "${path}": ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  try {
    const parsed = JSON.parse(text) as Partial<Holder> | null;
    if (typeof parsed?.pid !== "number" || !/^[0-9a-f-]{36}$/.test(parsed.nonce ?? "")) return "unreadable";
    return {
      pid: parsed.pid,
      startedAt: parsed.startedAt ?? "",
      bootId: parsed.bootId ?? "",
      nonce: parsed.nonce ?? "",
    };
  } catch {
    return "unreadable";
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.bootId !== bootId()) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (thrown) {
    // EPERM: it lives, and belongs to another user.
    if ((thrown as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return startTimeOf(holder.pid) === holder.startedAt;
}

function describeSelf(): Holder {
  return { pid: process.pid, startedAt: startTimeOf(process.pid), bootId: bootId(), nonce: randomUUID() };
}

/** Field 22 of /proc/PID/stat; the name in field 2 may itself hold spaces and parentheses. Zombies count as gone. */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "exited" : (fields[19] ?? "");
  } catch {
    return "";
  }
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

function locked(directory: string, pid: number): ClusterduckError {
  return new ClusterduckError(
    "LOG_LOCKED",
    `Cannot open log "${directory}": the process with pid ${pid} is using it`,
    { hint: `Stop that process, or give this one another data directory (coordinator.data_dir)` },
  );
}
