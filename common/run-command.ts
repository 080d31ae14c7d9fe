import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { statSync } from "node:fs";
import type { Readable, Writable } from "node:stream";

import { messageOf } from "./errors.js";
import { OutputTail } from "./output-tail.js";

export type CommandRequest = {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  /** Written to its standard input, which is then closed. */
  readonly input?: string;
  /** After this long its whole process group gets SIGTERM, and SIGKILL `killAfterMs` later. Milliseconds. */
  readonly timeoutMs: number;
  readonly killAfterMs?: number;
  /** How much of the end of its output is kept. Bytes. */
  readonly outputBytes: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Ends it like a timeout. */
  readonly signal?: AbortSignal;
  /** Told at once when it runs: its pid, which is also its process group. */
  readonly onStarted?: (pid: number) => void;
};

export type CommandOutcome = {
  /** Standard output and standard error as they came, the last `outputBytes` of them. */
  readonly output: string;
  readonly durationMs: number;
} & (
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: string }
  | { readonly kind: "timedOut" }
  | { readonly kind: "aborted" }
  | { readonly kind: "notStarted"; readonly error: string }
);

const KILL_AFTER_MS = 2_000;
/** A daemon that the command left behind may hold its output open: after the exit we wait this long for the rest. */
const DRAIN_MS = 100;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** The system blames the program for a missing working directory as well. */
function whyNotStarted({ cwd }: CommandRequest, error: Error): string {
  const isFolder = cwd === undefined || isDirectory(cwd);
  return isFolder ? messageOf(error) : `its working directory "${cwd}" does not exist`;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Runs a command in a process group of its own, so that a time limit ends its children too. Never rejects. */
export function runCommand(request: CommandRequest): Promise<CommandOutcome> {
  const startedAtMs = performance.now();
  const tail = new OutputTail(request.outputBytes);
  return new Promise((resolve) => {
    let child: Child;
    try {
      child = spawnIn(request);
    } catch (thrown) {
      resolve({ kind: "notStarted", error: messageOf(thrown), output: "", durationMs: 0 });
      return;
    }
    if (child.pid !== undefined) request.onStarted?.(child.pid);
    let ended: "timedOut" | "aborted" | null = null;
    let kill: NodeJS.Timeout | undefined;
    let finishDrain: (() => void) | null = null;
    const end = (cause: "timedOut" | "aborted"): void => {
      if (ended !== null) return;
      // It ended by itself in time: only the rest of its output is awaited, which decides nothing.
      if (finishDrain !== null) return finishDrain();
      ended = cause;
      signalGroup(child, "SIGTERM");
      kill = setTimeout(() => signalGroup(child, "SIGKILL"), request.killAfterMs ?? KILL_AFTER_MS);
    };
    const onAbort = (): void => end("aborted");
    const timer = setTimeout(() => end("timedOut"), request.timeoutMs);
    request.signal?.addEventListener("abort", onAbort, { once: true });
    if (request.signal?.aborted === true) onAbort();

    const settle = (outcome: DistributedOmit<CommandOutcome, "output" | "durationMs">): void => {
      clearTimeout(timer);
      // The leader may have ended while a child of it ignores SIGTERM: the group gets SIGKILL all the same.
      if (ended !== null) signalGroup(child, "SIGKILL");
      clearTimeout(kill);
      request.signal?.removeEventListener("abort", onAbort);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ ...outcome, output: tail.text(), durationMs: performance.now() - startedAtMs });
    };

    child.stdout.on("data", (chunk: Buffer) => tail.append(chunk));
    child.stderr.on("data", (chunk: Buffer) => tail.append(chunk));
    // A command that does not read its input closes the pipe: no failure of ours.
    child.stdin.on("error", () => undefined);
    child.stdin.end(request.input ?? "");
    child.once("error", (error) => {
      if (child.pid === undefined) settle({ kind: "notStarted", error: whyNotStarted(request, error) });
    });
    child.once("exit", (code, signal) => {
      const finish = (): void => {
        clearTimeout(drain);
        child.off("close", finish);
        if (ended !== null) settle({ kind: ended });
        else if (code !== null) settle({ kind: "exited", code });
        else settle({ kind: "killed", signal: signal ?? "unknown" });
      };
      finishDrain = finish;
      const drain = setTimeout(finish, DRAIN_MS);
      child.once("close", finish);
    });
  });
}

type DistributedOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never;

function spawnIn(request: CommandRequest): Child {
  return spawn(request.file, [...request.args], {
    env: request.env,
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
    ...(request.uid === undefined ? {} : { uid: request.uid }),
    ...(request.gid === undefined ? {} : { gid: request.gid }),
  });
}

function signalGroup(child: Child, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has ended already.
  }
}
