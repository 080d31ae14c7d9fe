import { runCommand } from "../../common/run-command.js";

const TIMEOUT_MS = 30_000;
const OUTPUT_BYTES = 4_096;
/** Exit code for a configuration without an error and without a listener. */
const NO_LISTENER = 2;

export type Validation =
  | { readonly kind: "valid"; readonly warnings: readonly string[] }
  | { readonly kind: "invalid"; readonly problem: string };

/**
 * Lets HAProxy itself judge a file before it replaces the old one. Runs as our own user, in a process group
 * with a time limit: a configuration can make the parser wait (name resolution) or fail in surprising ways.
 */
export async function validateConfiguration(options: {
  readonly program: string;
  readonly temporaryPath: string;
  /** Where it will stand: the name that people know. */
  readonly path: string;
  readonly extraFiles: readonly string[];
  readonly signal: AbortSignal;
}): Promise<Validation> {
  const { program, temporaryPath, path, extraFiles, signal } = options;
  const files = [...extraFiles, temporaryPath].flatMap((file) => ["-f", file]);
  const outcome = await runCommand({
    file: program,
    args: ["-c", ...files],
    env: environment(),
    timeoutMs: TIMEOUT_MS,
    outputBytes: OUTPUT_BYTES,
    signal,
  });
  const output = outcome.output.replaceAll(temporaryPath, path);
  switch (outcome.kind) {
    case "exited":
      if (outcome.code === 0) return { kind: "valid", warnings: linesOf(output, "[WARNING]") };
      if (outcome.code === NO_LISTENER) {
        return {
          kind: "invalid",
          problem: `HAProxy would not start with "${path}": it binds no address; add a frontend with a bind`,
        };
      }
      return { kind: "invalid", problem: refusalOf(program, outcome.code, output) };
    case "notStarted":
      return {
        kind: "invalid",
        problem: `Cannot run "${program}" to validate: ${outcome.error}; install HAProxy or set "program"`,
      };
    case "timedOut":
      return { kind: "invalid", problem: `"${program} -c" did not end within ${TIMEOUT_MS / 1_000} s` };
    case "killed":
      return { kind: "invalid", problem: `"${program} -c" was ended by ${outcome.signal}` };
    case "aborted":
      return { kind: "invalid", problem: "Validation was cancelled" };
  }
}

/** The parser may resolve variables of its configuration from our environment, as HAProxy's unit file would set them. */
function environment(): Readonly<Record<string, string>> {
  const copy: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith("NODE_")) copy[name] = value;
  }
  return copy;
}

function linesOf(output: string, level: string): readonly string[] {
  return output
    .split("\n")
    .filter((line) => line.includes(level))
    .map((line) => line.replace(/^\[\w+\]\s*\(\d+\)\s*:\s*(config\s*:\s*)?/, "").trim());
}

/** Without an alert it was not HAProxy that spoke, or not about the configuration. */
function refusalOf(program: string, code: number, output: string): string {
  const summary = summaryOf(output);
  if (summary !== "") return `HAProxy refuses the configuration: ${summary}`;
  const words = output.trim() === "" ? "" : `: ${output.trim().split("\n").slice(-3).join("; ")}`;
  return `"${program} -c" ended with exit code ${code} and no reason of HAProxy's${words}; is "program" HAProxy?`;
}

function summaryOf(output: string): string {
  const alerts = linesOf(output, "[ALERT]").filter((line) => !/^(Error\(s\)|Fatal errors) found/.test(line));
  return alerts.slice(0, 3).join("; ");
}
