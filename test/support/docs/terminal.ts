import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

export type Finished = { readonly exitCode: number; readonly output: string };

const LOOK_EVERY_MS = 50;

/** A shell that keeps its directory, variables and background jobs from one command to the next. */
export class Terminal {
  readonly #shell: ChildProcessByStdio<Writable, Readable, null>;
  #output = "";
  #commands = 0;

  constructor(options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> }) {
    this.#shell = spawn("bash", ["--noprofile", "--norc"], { ...options, stdio: ["pipe", "pipe", "ignore"] });
    this.#shell.stdout.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    this.#shell.stdin.on("error", () => undefined);
  }

  /** Types a command, and gives the means to watch it. */
  type(command: string): RunningCommand {
    const mark = `--- command ${++this.#commands} ended with`;
    const from = this.#output.length;
    // Nobody types an answer: programs find their input closed instead of eating what comes next.
    this.#shell.stdin.write(`{ ${command}\n} </dev/null 2>&1\nprintf '\\n%s %s\\n' '${mark}' "$?"\n`);
    return {
      output: () => this.#output.slice(from).split(`\n${mark}`)[0] ?? "",
      finished: () => {
        const code = new RegExp(`\n${mark} (\\d+)\n`).exec(this.#output.slice(from))?.[1];
        return code === undefined
          ? null
          : { exitCode: Number(code), output: this.#output.slice(from).split(`\n${mark}`)[0] ?? "" };
      },
    };
  }

  /** Ctrl-C: for the command in the foreground, which is the shell's newest child. */
  interrupt(): void {
    const shell = this.#shell.pid ?? 0;
    const children = readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").trim().split(" ");
    const newest = Number(children.at(-1));
    if (!(newest > 0)) throw new Error("nothing runs in the first terminal");
    process.kill(newest, "SIGINT");
  }

  async close(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    const ended = once(this.#shell, "exit");
    this.#shell.kill("SIGKILL");
    await ended;
  }
}

export type RunningCommand = {
  /** What it has printed so far. */
  readonly output: () => string;
  /** Null: it still runs. */
  readonly finished: () => Finished | null;
};

/** Asks until there is an answer. @throws Error with `describe()` when the time is over. */
export async function eventually<Result>(
  ask: () => Result | null,
  describe: () => string,
  timeoutMs: number,
): Promise<Result> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = ask();
    if (answer !== null) return answer;
    if (performance.now() > deadlineMs) throw new Error(describe());
    await delay(LOOK_EVERY_MS);
  }
}
