import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { ClusterduckError, messageOf } from "../errors.js";
import { irregularFile } from "../irregular-file.js";
import { identify, isRunning } from "./processes.js";
import type { ProcessId } from "./processes.js";

/** Enough for any number of starters that find the same stale file; each round one of them gets further. */
const ATTEMPTS = 20;

export type PidFile = {
  readonly path: string;
  /** Removes the file if it is still ours. Idempotent. */
  remove(): void;
};

/**
 * Claims a pid file for a process: `PID START BOOT` on one line. It appears whole or not at all, and a
 * file whose process is gone is replaced.
 * @throws ClusterduckError ALREADY_RUNNING, or DISK_FAILED when it cannot be written.
 */
export function claimPidFile(path: string, program: string, pid: number = process.pid): PidFile {
  const own = identify(pid);
  if (own === null)
    throw new ClusterduckError("NOT_RUNNING", `Cannot write pid file "${path}": no process ${pid}`);
  assertRegular(path);
  const draft = `${path}.${process.pid}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(draft, format(own), { mode: 0o644 });
    claim(path, draft, program);
  } catch (thrown) {
    if (thrown instanceof ClusterduckError) throw thrown;
    throw new ClusterduckError("DISK_FAILED", `Cannot write pid file "${path}": ${messageOf(thrown)}`, {
      cause: thrown,
      hint: "choose a pid_file in a directory that this user may write to",
    });
  } finally {
    removeQuietly(draft);
  }
  return { path, remove: () => removeIfOwn(path, own) };
}

/** Who a pid file names; null when there is none, or nothing readable in it. */
export function readPidFile(path: string): ProcessId | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return null;
    throw new ClusterduckError("DISK_FAILED", `Cannot read pid file "${path}": ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  const match = /^(\d+)(?: (\d*) ([0-9a-f-]*))?\s*$/.exec(text);
  if (match === null) return null;
  const [, pid, start, boot] = match;
  const known = { pid: Number(pid), start: start ?? "", boot: boot ?? "" };
  // A bare pid, written by other hands: all we can ask is whether there is such a process.
  return start === undefined ? (identify(known.pid) ?? known) : known;
}

/** Also so that nobody waits for what comes out of a pipe. */
function assertRegular(path: string): void {
  let irregular: string | null = null;
  try {
    irregular = irregularFile(path);
  } catch {
    // Writing it will say why.
  }
  if (irregular === null) return;
  throw new ClusterduckError("DISK_FAILED", `Cannot write pid file "${path}": it is ${irregular}`, {
    hint: "choose a pid_file that is a regular file, or none yet",
  });
}

function claim(path: string, draft: string, program: string): void {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      // Unlike a rename, a link fails when the name is taken: of two starters one wins.
      linkSync(draft, path);
      return;
    } catch (thrown) {
      if (!(thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST")) throw thrown;
    }
    const holder = readPidFile(path);
    if (holder !== null && isRunning(holder)) throw alreadyRunning(program, path, holder.pid);
    bury(path, holder);
  }
  throw new ClusterduckError(
    "ALREADY_RUNNING",
    `Cannot start ${program}: pid file "${path}" keeps changing hands`,
  );
}

/** Takes a stale file away; puts back what another starter wrote in the meantime. */
function bury(path: string, stale: ProcessId | null): void {
  const grave = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, grave);
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return;
    throw thrown;
  }
  const buried = readPidFile(grave);
  if (buried !== null && isRunning(buried) && buried.pid !== stale?.pid) {
    try {
      linkSync(grave, path);
    } catch {
      // A third one was quicker; the next round meets it.
    }
  }
  rmSync(grave, { force: true });
}

function removeIfOwn(path: string, own: ProcessId): void {
  const holder = readPidFile(path);
  if (holder?.pid === own.pid && holder.start === own.start) rmSync(path, { force: true });
}

/** Even `force` throws when a part of the path is a file; the error that led here matters more. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Nothing of ours is left there then.
  }
}

function format({ pid, start, boot }: ProcessId): string {
  return `${pid} ${start} ${boot}\n`;
}

function alreadyRunning(program: string, path: string, pid: number): ClusterduckError {
  return new ClusterduckError(
    "ALREADY_RUNNING",
    `Cannot start ${program}: it runs already, with pid ${pid} (pid file "${path}")`,
    { hint: `${program} stop` },
  );
}
