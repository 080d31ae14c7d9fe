import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** A line of a program's log. */
export type LoggedEvent = Readonly<Record<string, unknown>> & { readonly event: string };

export type RunningProgram = {
  readonly pid: number;
  /** Everything logged so far, oldest first. */
  readonly events: readonly LoggedEvent[];
  /** What it wrote to standard error that is no log line. */
  readonly text: () => string;
  /** Waits for a line, among those that are there and those to come. @throws Error with its words after a minute or when it ends. */
  readonly event: (isIt: (line: LoggedEvent) => boolean) => Promise<LoggedEvent>;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Resolves when it has ended, with its exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** SIGKILL whatever its state; resolves when it is gone. Idempotent. */
  readonly kill: () => Promise<void>;
};

/** The machine that tests is busy: three programs that start at once have taken 20 s there. */
const EVENT_TIMEOUT_MS = 60_000;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Runs one of the programs in bin/ as a user would; `npm test` has built them.
 * @param before a command that becomes the program, such as one that changes the network namespace.
 * @param root the folder with bin/, where it is not this package.
 */
export function runProgram(
  name: "duck-agent" | "duck-coordinator" | "duckctl",
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
  before: readonly string[] = [],
  root = ROOT,
): RunningProgram {
  const [command = "", ...rest] = [...before, process.execPath, join(root, "bin", `${name}.js`), ...args];
  const child = spawn(command, rest, { stdio: ["ignore", "ignore", "pipe"], env });
  const events: LoggedEvent[] = [];
  let words = "";
  createInterface({ input: child.stderr }).on("line", (line) => {
    const logged = parseLine(line);
    if (logged === null) words += `${line}\n`;
    else events.push(logged);
  });
  return {
    pid: child.pid ?? 0,
    events,
    text: () => words,
    event: async (isIt) => {
      const deadlineMs = performance.now() + EVENT_TIMEOUT_MS;
      for (;;) {
        const found = events.find(isIt);
        if (found !== undefined) return found;
        if (hasEnded(child) || performance.now() > deadlineMs) {
          const last = events.slice(-5).map((line) => JSON.stringify(line));
          throw new Error(`${name} never logged what was awaited:\n${words}${last.join("\n")}`);
        }
        await delay(5);
      }
    },
    signal: (signal) => void child.kill(signal),
    ended: once(child, "close").then(([code]) => code as number | null),
    kill: async () => {
      if (hasEnded(child)) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

function parseLine(line: string): LoggedEvent | null {
  if (!line.startsWith("{")) return null;
  try {
    return JSON.parse(line) as LoggedEvent;
  } catch {
    return null;
  }
}
