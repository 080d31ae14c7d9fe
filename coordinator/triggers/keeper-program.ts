/**
 * The parent of all trigger commands: a process of its own, so that they keep their time limits, their
 * output and their exit codes when the coordinator is killed. It then finishes what is under way, leaves
 * each outcome in a note for the next coordinator, and ends.
 */
import { systemClock } from "../../common/clock.js";
import { identify } from "../../common/daemon/processes.js";
import { messageOf } from "../../common/errors.js";
import type { FromKeeper, KeptRun, ToKeeper } from "./keeper-messages.js";
import { writeNoteNow } from "./run-notes.js";
import type { RunNote } from "./run-notes.js";
import { NOTHING_DONE, runShell } from "./shell.js";
import type { ActionOutcome } from "./shell.js";

const underWay = new Map<string, AbortController>();

process.on("message", (message: ToKeeper) => {
  if (message.kind === "stop") underWay.get(message.path)?.abort();
  else void keep(message.run);
});
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.on(signal, () => {
    // A service manager signals every process of the service: while there is a coordinator, it decides.
    if (!process.connected) for (const run of underWay.values()) run.abort();
  });
}

async function keep(run: KeptRun): Promise<void> {
  const abort = new AbortController();
  underWay.set(run.path, abort);
  const outcome = await runActions(run, abort.signal);
  note(run.path, { ...run.note, outcome });
  underWay.delete(run.path);
  const told: FromKeeper = { kind: "ended", path: run.path, outcome };
  // A coordinator that is gone finds the note.
  if (process.connected) process.send?.(told, undefined, undefined, () => undefined);
}

async function runActions({ path, note: about, actions, input }: KeptRun, signal: AbortSignal) {
  let last: ActionOutcome = NOTHING_DONE;
  try {
    for (const { action, env } of actions) {
      const onStarted = (pid: number): void => note(path, { ...about, group: identify(pid) });
      last = await runShell(action, { env, input, clock: systemClock, signal, onStarted });
      if (!last.isSuccess) break;
    }
    return last;
  } catch (thrown) {
    return { ...last, isSuccess: false, error: messageOf(thrown) };
  }
}

function note(path: string, content: RunNote): void {
  try {
    writeNoteNow(path, content);
  } catch {
    // A full disk: the coordinator is told all the same.
  }
}
