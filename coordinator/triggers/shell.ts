import { stat } from "node:fs/promises";

import type { Clock } from "../../common/clock.js";
import type { ActionConfig } from "../../common/config/model.js";
import { runCommand } from "../../common/run-command.js";
import type { CommandOutcome } from "../../common/run-command.js";
import { lookUpUser } from "../../common/users.js";
import { messageOf } from "../../common/errors.js";

/** How much of a run's output is kept in its record, bytes. */
export const OUTPUT_TAIL_BYTES = 4_096;

export type ActionOutcome = {
  readonly isSuccess: boolean;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly outputTail: string;
  /** Empty when all went well. */
  readonly error: string;
};

/** Before the first command: what an action without any would say. */
export const NOTHING_DONE: ActionOutcome = {
  isSuccess: true,
  exitCode: null,
  signal: null,
  outputTail: "",
  error: "",
};

export type ShellContext = {
  readonly env: Readonly<Record<string, string>>;
  /** For the standard input of every command. */
  readonly input: string;
  readonly clock: Clock;
  /** Ends the command under way. */
  readonly signal: AbortSignal;
  /** Told each command's process group when it begins. */
  readonly onStarted?: (pid: number) => void;
};

/**
 * Runs an action's commands one after the other, each in a shell of its own, and stops at the first that
 * fails. The action's time limit covers all of them together.
 */
export async function runShell(action: ActionConfig, context: ShellContext): Promise<ActionOutcome> {
  let identity: { uid: number; gid: number } | null = null;
  try {
    identity = action.user === null ? null : await lookUpUser(action.user);
  } catch (thrown) {
    return { isSuccess: false, exitCode: null, signal: null, outputTail: "", error: messageOf(thrown) };
  }
  const deadlineMs = context.clock.monotonicMs() + action.timeoutMs;
  let output = "";
  for (const command of action.commands) {
    const outcome = await runCommand({
      file: "/bin/sh",
      args: ["-c", command],
      env: context.env,
      input: context.input,
      timeoutMs: Math.max(1, deadlineMs - context.clock.monotonicMs()),
      outputBytes: OUTPUT_TAIL_BYTES,
      signal: context.signal,
      ...(context.onStarted === undefined ? {} : { onStarted: context.onStarted }),
      ...(action.cwd === null ? {} : { cwd: action.cwd }),
      ...(identity ?? {}),
    });
    output = (output + outcome.output).slice(-OUTPUT_TAIL_BYTES);
    const error = (await missingDirectory(outcome, action)) ?? errorOf(outcome, command, action);
    if (error !== null) {
      return {
        isSuccess: false,
        exitCode: outcome.kind === "exited" ? outcome.code : null,
        signal: outcome.kind === "killed" ? outcome.signal : null,
        outputTail: output,
        error,
      };
    }
  }
  return { isSuccess: true, exitCode: 0, signal: null, outputTail: output, error: "" };
}

/** The system blames the program for a directory that is not there: "spawn /bin/sh ENOENT". */
async function missingDirectory(outcome: CommandOutcome, { cwd }: ActionConfig): Promise<string | null> {
  if (outcome.kind !== "notStarted" || cwd === null) return null;
  const isDirectory = await stat(cwd).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isDirectory
    ? null
    : `Cannot run in cwd ${JSON.stringify(cwd)}: there is no such directory; make it, or change the action's cwd`;
}

function errorOf(outcome: CommandOutcome, command: string, action: ActionConfig): string | null {
  const shown = JSON.stringify(command.length > 80 ? `${command.slice(0, 77)}...` : command);
  switch (outcome.kind) {
    case "exited":
      return outcome.code === 0 ? null : `Command ${shown} exited with code ${outcome.code}`;
    case "killed":
      return `Command ${shown} was ended by ${outcome.signal}`;
    case "timedOut":
      return `Command ${shown} was stopped: the action's timeout of ${action.timeoutMs} ms has passed`;
    case "aborted":
      return `Command ${shown} was stopped: the coordinator is stopping`;
    case "notStarted": {
      const where = action.cwd === null ? "" : ` in ${JSON.stringify(action.cwd)}`;
      return `Cannot start /bin/sh${where}: ${outcome.error}`;
    }
  }
}
