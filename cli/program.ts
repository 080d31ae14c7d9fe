import { createInterface } from "node:readline/promises";
import { text } from "node:stream/consumers";

import { runCli } from "./command-line.js";
import type { CliIo } from "./io.js";

const interrupt = new AbortController();
// The second Ctrl-C ends it the hard way.
process.once("SIGINT", () => interrupt.abort());
// `duckctl ... | head` closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const io: CliIo = {
  out: (data) => process.stdout.write(data),
  err: (data) => process.stderr.write(data),
  env: process.env,
  isTerminal: process.stdout.isTTY,
  hasColours: process.stdout.isTTY && process.stdout.hasColors() && !process.env["NO_COLOR"],
  width: process.stdout.columns,
  ask: process.stdin.isTTY && process.stderr.isTTY ? ask : null,
  readInput: () => text(process.stdin),
  signal: interrupt.signal,
  nowMs: () => Date.now(),
};

process.exitCode = await runCli(process.argv.slice(2), io);

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question);
  } finally {
    lines.close();
  }
}
