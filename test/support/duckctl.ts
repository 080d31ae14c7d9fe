import { runCli } from "../../cli/command-line.js";
import type { CliIo } from "../../cli/io.js";

export type CliResult = { readonly code: number; readonly out: string; readonly err: string };

/** Runs one command line with everything a terminal would give it replaced. */
export async function runDuckctl(args: readonly string[], io: Partial<CliIo> = {}): Promise<CliResult> {
  let out = "";
  let err = "";
  const code = await runCli(args, {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    env: {},
    isTerminal: false,
    hasColours: false,
    width: 80,
    ask: null,
    readInput: async () => "",
    signal: new AbortController().signal,
    nowMs: () => Date.now(),
    ...io,
  });
  return { code, out, err };
}
