import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../common/clock.js";
import type { ActionConfig } from "../../common/config/model.js";
import { identify, isRunning } from "../../common/daemon/processes.js";
import { messageOf } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { RunRecord } from "../state/model.js";
import type { FromKeeper, KeptAction, ToKeeper } from "./keeper-messages.js";
import { endGroup, readNote, RunNotes } from "./run-notes.js";
import type { RunNote } from "./run-notes.js";
import { NOTHING_DONE } from "./shell.js";
import type { ActionOutcome } from "./shell.js";

/** The bundle's name for it stands in scripts/build.mjs. */
const PROGRAM = import.meta.url.endsWith(".ts") ? "./keeper-program.ts" : "./duck-trigger-keeper.js";

/** What a keeper may take beyond the actions' own time limits, milliseconds; one that takes more hangs. */
export const SLACK_MS = 15_000;
/** How often we look whether a run of an earlier coordinator has ended, milliseconds. */
const LOOK_EVERY_MS = 200;

export type RunKeeperOptions = {
  /** Holds the notes. */
  readonly dir: string;
  readonly clock: Clock;
  readonly logger: Logger;
};

/** What became of a run that an earlier coordinator started. */
export type Inherited =
  | { readonly kind: "ended"; readonly outcome: ActionOutcome }
  /** This host knows nothing of it. */
  | { readonly kind: "unknown" }
  /** `signal` aborted while it was still under way. */
  | { readonly kind: "stillRunning" };

/**
 * Has trigger commands run by a process beside the coordinator, which outlives it: see keeper-program.ts.
 * Of the two ways to hold a killed coordinator's commands to their limits, this one also holds when no
 * coordinator comes back, and it alone learns how they ended. It starts with the first run.
 */
export class RunKeeper {
  readonly #options: RunKeeperOptions;
  readonly #notes: RunNotes;
  readonly #awaited = new Map<string, (outcome: ActionOutcome) => void>();
  #child: ChildProcess | null = null;

  constructor(options: RunKeeperOptions) {
    this.#options = options;
    this.#notes = new RunNotes(options.dir);
  }

  /** Runs the actions one after the other until one fails; ends them when `signal` aborts. Never rejects. */
  async run(
    run: RunRecord,
    work: { readonly actions: readonly KeptAction[]; readonly input: string; readonly signal: AbortSignal },
  ): Promise<ActionOutcome> {
    const path = this.#notes.pathOf(run);
    try {
      const child = this.#keeper();
      const keeper = child.pid === undefined ? null : identify(child.pid);
      if (keeper === null) return failed("Cannot start the process that runs trigger commands");
      const note: RunNote = {
        runId: run.id,
        attempt: run.attempts,
        startedAtMs: run.startedAtMs,
        limitMs: limitOf(work.actions.map(({ action }) => action)),
        keeper,
        group: null,
        outcome: null,
      };
      // Before the command begins: whoever comes after us must not think that it never did.
      await this.#notes.write(path, note);
      return await this.#ask(child, { path, note, actions: work.actions, input: work.input }, work.signal);
    } catch (thrown) {
      return failed(`Cannot run the command: ${messageOf(thrown)}`);
    }
  }

  /** Waits until a run of an earlier coordinator has ended, at its time limit at the latest. */
  async inherited(run: RunRecord, signal: AbortSignal): Promise<Inherited> {
    const { clock } = this.#options;
    const sinceMs = clock.monotonicMs();
    while (!signal.aborted) {
      // The keeper first: it writes its last word before it ends.
      const keeper = this.#notes.find(run)?.keeper;
      const isKept = keeper !== undefined && isRunning(keeper);
      const note = this.#notes.find(run);
      if (note === null) return { kind: "unknown" };
      if (note.outcome !== null) return { kind: "ended", outcome: note.outcome };
      if (!isKept) return { kind: "ended", outcome: abandoned(note) };
      if (clock.monotonicMs() - sinceMs > note.limitMs) endKeeper(note);
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
    return { kind: "stillRunning" };
  }

  /** Its outcome is committed. */
  async forget(run: RunRecord): Promise<void> {
    await this.#notes.remove(run);
  }

  /** Forgets all other runs. @throws Error of the disk. */
  keepOnly(runs: readonly RunRecord[]): void {
    this.#notes.keepOnly(runs);
  }

  /** Resolves when its process has ended: at once when nothing is under way. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const ended = once(child, "exit");
    if (child.connected) child.disconnect();
    await ended;
  }

  #ask(
    child: ChildProcess,
    run: (ToKeeper & { readonly kind: "run" })["run"],
    signal: AbortSignal,
  ): Promise<ActionOutcome> {
    const { clock } = this.#options;
    const send = (message: ToKeeper): void => {
      // Should it not arrive, its end is on the way and settles what is awaited.
      if (child.connected) child.send(message, () => undefined);
    };
    return new Promise((resolve) => {
      if (this.#child !== child) {
        resolve(failed(KEEPER_GONE));
        return;
      }
      const kill = (): void => void child.kill("SIGKILL");
      let cancel = clock.after(run.note.limitMs, kill);
      const stop = (): void => {
        send({ kind: "stop", path: run.path });
        cancel();
        cancel = clock.after(SLACK_MS, kill);
      };
      this.#awaited.set(run.path, (outcome) => {
        cancel();
        signal.removeEventListener("abort", stop);
        this.#awaited.delete(run.path);
        resolve(outcome);
      });
      send({ kind: "run", run });
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
    });
  }

  #keeper(): ChildProcess {
    if (this.#child !== null) return this.#child;
    const child = fork(fileURLToPath(new URL(PROGRAM, import.meta.url)), [], {
      // A session of its own: Ctrl-C in the coordinator's terminal is not meant for it.
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: process.execArgv.filter((word) => !word.startsWith("--inspect")),
    });
    this.#child = child;
    child.on("message", (message: FromKeeper) => this.#awaited.get(message.path)?.(message.outcome));
    child.on("error", (error) => {
      if (child.pid === undefined) this.#onGone(child, messageOf(error));
    });
    child.once("exit", (code, signal) => this.#onGone(child, signal ?? `exit code ${code ?? "unknown"}`));
    return child;
  }

  #onGone(child: ChildProcess, cause: string): void {
    if (this.#child !== child) return;
    this.#child = null;
    if (this.#awaited.size > 0) {
      this.#options.logger.error("trigger.keeper_lost", { cause, runs: this.#awaited.size });
    }
    for (const [path, settle] of [...this.#awaited]) {
      const note = readNote(path);
      settle(note === null ? failed(KEEPER_GONE) : (note.outcome ?? abandoned(note)));
    }
  }
}

/** After this long, milliseconds, the commands of these actions have ended, whatever becomes of the coordinator. */
export function limitOf(actions: readonly Pick<ActionConfig, "timeoutMs">[]): number {
  return actions.reduce((sum, { timeoutMs }) => sum + timeoutMs, SLACK_MS);
}

const KEEPER_GONE = "The process that ran the command was killed; the command was ended too";

/** It hangs. What it leaves behind ends when it is seen to be gone. */
function endKeeper({ keeper }: RunNote): void {
  try {
    process.kill(keeper.pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

/** Nobody holds it to its time limit any more, so it ends now. */
function abandoned(note: RunNote): ActionOutcome {
  endGroup(note);
  return failed(KEEPER_GONE);
}

function failed(error: string): ActionOutcome {
  return { ...NOTHING_DONE, isSuccess: false, error };
}
