import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { identify, isRunning } from "../../common/daemon/processes.js";
import type { ProcessId } from "../../common/daemon/processes.js";
import type { RunRecord } from "../state/model.js";
import type { ActionOutcome } from "./shell.js";

/** What this host knows of one attempt of one run while its outcome is not committed. */
export type RunNote = {
  readonly runId: string;
  readonly attempt: number;
  /** Tells it from a run of the same name before the log was lost. */
  readonly startedAtMs: number | null;
  /** After this long, milliseconds, even a keeper that hangs has no claim on it any more. */
  readonly limitMs: number;
  readonly keeper: ProcessId;
  /** The process group of its command; null before the first one. */
  readonly group: ProcessId | null;
  /** Null while it is under way. */
  readonly outcome: ActionOutcome | null;
};

/** Notes outlive processes, not hosts: a host that went down took all commands with it. So nothing is synced. */
const OPTIONS = { fsync: false, mode: 0o600 } as const;

export class RunNotes {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  pathOf(run: RunRecord): string {
    return join(this.#dir, `${run.id}-${run.attempts}.json`);
  }

  async write(path: string, note: RunNote): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o750 });
    await writeFileAtomic(path, JSON.stringify(note), OPTIONS);
  }

  /** The note about this very attempt; null when there is none. */
  find(run: RunRecord): RunNote | null {
    const note = readNote(this.pathOf(run));
    const isAboutIt =
      note?.runId === run.id && note.attempt === run.attempts && note.startedAtMs === run.startedAtMs;
    return isAboutIt ? note : null;
  }

  async remove(run: RunRecord): Promise<void> {
    await rm(this.pathOf(run), { force: true });
  }

  /**
   * Removes what concerns none of these runs: their outcomes were committed just before a coordinator died.
   * A draft of a note that its keeper is about to put in place begins with the note's own name.
   */
  keepOnly(runs: readonly RunRecord[]): void {
    if (!existsSync(this.#dir)) return;
    const kept = runs.map((run) => this.pathOf(run));
    for (const name of readdirSync(this.#dir)) {
      const path = join(this.#dir, name);
      if (!kept.some((known) => path.startsWith(known))) rmSync(path, { force: true });
    }
  }
}

/** For the keeper, which must have written it before the next thing happens. @throws Error of the disk. */
export function writeNoteNow(path: string, note: RunNote): void {
  writeFileAtomic.sync(path, JSON.stringify(note), OPTIONS);
}

export function readNote(path: string): RunNote | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as RunNote;
  } catch {
    // Not there, or of a host that lost its power: nothing of it runs any more.
    return null;
  }
}

/** Ends what a keeper that is gone has left behind; without mercy, as nobody is there to wait for it. */
export function endGroup({ group }: RunNote): void {
  if (group === null) return;
  const now = identify(group.pid);
  // Its leader may have ended before the rest. While the group lasts nobody else gets its number.
  const isOurs = now === null ? group.boot === bootNow() : isRunning(group);
  if (!isOurs) return;
  try {
    process.kill(-group.pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

function bootNow(): string {
  return identify(process.pid)?.boot ?? "";
}
