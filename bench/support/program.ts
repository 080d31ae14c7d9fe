import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A process that a bench started, and that ends with it. */
export type Program = {
  readonly pid: number;
  readonly child: ChildProcess;
  /** The end of what it wrote. */
  output(): string;
  /** Ends it whatever its state, and waits for its exit. Idempotent. */
  stop(): Promise<void>;
};

export type ProgramOptions = {
  readonly command: string;
  readonly args: readonly string[];
  /** It is ready once it has written something that matches. Null: at once. */
  readonly readyWhen: RegExp | null;
  readonly hasIpc?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
};

const START_TIMEOUT_MS = 60_000;
const OUTPUT_KEPT = 16_000;

/** @throws Error with what the process wrote, when it ends or does not get ready within a minute. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { command, args, readyWhen, hasIpc = false, env = process.env } = options;
  const child = spawn(command, args, {
    env,
    stdio: ["ignore", "pipe", "pipe", ...(hasIpc ? (["ipc"] as const) : [])],
  });
  let text = "";
  let onText: () => void = () => undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text = (text + chunk).slice(-OUTPUT_KEPT);
      onText();
    });
  }
  const stop = async (): Promise<void> => {
    if (hasExited(child)) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  const problem = await new Promise<string | null>((resolve) => {
    const timer = setTimeout(() => resolve("not ready in time"), START_TIMEOUT_MS);
    const settle = (value: string | null): void => {
      clearTimeout(timer);
      resolve(value);
    };
    onText = () => {
      if (readyWhen?.test(text) === true) settle(null);
    };
    child.once("error", (error) => settle(error.message));
    child.once("exit", (code, signal) => settle(`ended with ${signal ?? `exit code ${code ?? "none"}`}`));
    if (readyWhen === null) child.once("spawn", () => settle(null));
  });
  onText = () => undefined;
  if (problem !== null || child.pid === undefined) {
    await stop();
    throw new Error(`Cannot start ${command} ${args.join(" ")}: ${problem ?? "no process"}:\n${text}`);
  }
  return { pid: child.pid, child, output: () => text, stop };
}

/** Puts a command on the first CPU alone and before all others, for figures of a machine that others use too. */
export const ALONE_ON_CPU = ["taskset", "-c", "0", "chrt", "-r", "5"] as const;

/** One of our own programs, as it is installed: through bin/, from dist/. `prefix`: a command that starts it. */
export function startOurs(
  program: "duck-agent" | "duck-coordinator",
  configFile: string,
  prefix: readonly string[] = [],
): Promise<Program> {
  const bin = fileURLToPath(new URL(`../../bin/${program}.js`, import.meta.url));
  const [command = process.execPath, ...args] = [...prefix, process.execPath, bin, "-c", configFile];
  return startProgram({
    command,
    args,
    readyWhen: program === "duck-agent" ? /agent\.started/ : /coordinator\.started/,
  });
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}
