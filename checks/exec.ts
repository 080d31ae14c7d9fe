import { systemClock, type Clock } from "../common/clock.js";
import { execOptions } from "../common/config/checks/exec.js";
import type { ExecCommandConfig } from "../common/config/model.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
import { formatAddress } from "../common/model/address.js";
import type { Observation } from "../common/model/observation.js";
import { runCommand, type CommandOutcome } from "../common/run-command.js";
import { lookUpUser } from "../common/users.js";
import type { Check, CheckContext } from "./check.js";
import { parseOptions } from "./parse-options.js";

/** How much of the end of a command's output is kept; all of it is read. */
const OUTPUT_BYTES = 4 * 1024;
/** From SIGTERM to SIGKILL, for the whole process group. */
const KILL_AFTER_MS = 1_000;
/** The caller's signal ends a run. Should it not come, this many time limits do. */
const LONGEST_RUN_IN_TIMEOUTS = 10;
/** What a command sees of this process's environment: no tokens, no passwords. */
const INHERITED = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"] as const;

/**
 * Check `exec`: one of this host's own commands. Exit 0 passes, 1 is degraded, anything else fails, as
 * Consul's users know it. What to execute comes only from this process's configuration, never from a message.
 * @throws ClusterduckError CONFIG_INVALID for options that its schema refuses.
 */
export function createExecCheck(context: CheckContext, clock: Clock = systemClock): Check {
  const { command: name } = parseOptions(execOptions, context.config);
  const command = Object.hasOwn(context.execChecks, name) ? context.execChecks[name] : undefined;
  const closing = new AbortController();
  return {
    run: async (signal) => {
      if (command === undefined) return unknownCommand(name, context);
      const startedAtMs = clock.monotonicMs();
      const found = await execute(command, context, AbortSignal.any([signal, closing.signal]));
      return toObservation(found, clock.monotonicMs() - startedAtMs);
    },
    close: () => closing.abort(),
  };
}

/** Settles once the command ended, or as soon as `signal` aborts: its end then goes on in the background. */
async function execute(
  command: ExecCommandConfig,
  context: CheckContext,
  signal: AbortSignal,
): Promise<CommandOutcome | "aborted" | Error> {
  const [file, ...args] = command.command;
  if (file === undefined) return new ClusterduckError("CONFIG_INVALID", "the command is empty");
  try {
    const account = command.user === null ? {} : await lookUpUser(command.user);
    if (signal.aborted) return "aborted";
    const outcome = runCommand({
      file,
      args,
      env: environment(command, context),
      outputBytes: OUTPUT_BYTES,
      timeoutMs: context.config.timeoutMs * LONGEST_RUN_IN_TIMEOUTS,
      killAfterMs: KILL_AFTER_MS,
      signal,
      ...account,
      ...(command.cwd === null ? {} : { cwd: command.cwd }),
    });
    return await Promise.race([outcome, aborted(signal, outcome)]);
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
  }
}

/** Resolves when `signal` aborts; its listener does not outlive `outcome`. */
function aborted(signal: AbortSignal, outcome: Promise<unknown>): Promise<"aborted"> {
  return new Promise((resolve) => {
    const onAbort = (): void => resolve("aborted");
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    void outcome.finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function environment(
  command: ExecCommandConfig,
  { node, address, config }: CheckContext,
): Record<string, string> {
  const inherited = INHERITED.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(inherited),
    ...command.env,
    CLUSTER: node.cluster,
    CHECK: config.id,
    ADDR: formatAddress(address),
    HOST: address.kind === "tcp" ? address.host : "",
    PORT: address.kind === "tcp" ? String(address.port) : "",
  };
}

function toObservation(found: CommandOutcome | "aborted" | Error, latencyMs: number): Observation {
  if (found instanceof Error) {
    return { outcome: "inconclusive", reason: "internal", detail: messageOf(found), latencyMs };
  }
  if (found === "aborted") {
    return {
      outcome: "failed",
      reason: "timedOut",
      detail: "the command did not end within the time limit",
      latencyMs,
    };
  }
  const output = found.output.trim();
  const withOutput = (text: string): string => (output === "" ? text : `${text}: ${output}`);
  switch (found.kind) {
    case "exited":
      if (found.code === 0) return { outcome: "passed", latencyMs };
      return {
        outcome: found.code === 1 ? "degraded" : "failed",
        reason: "exitCode",
        detail: withOutput(`exit code ${found.code}`),
        latencyMs,
      };
    case "killed":
      return {
        outcome: "failed",
        reason: "exitCode",
        detail: withOutput(`ended by ${found.signal}`),
        latencyMs,
      };
    case "timedOut":
    case "aborted":
      return {
        outcome: "failed",
        reason: "timedOut",
        detail: withOutput("stopped at the time limit"),
        latencyMs,
      };
    case "notStarted":
      return {
        outcome: "inconclusive",
        reason: "internal",
        detail: `cannot start: ${found.error}`,
        latencyMs,
      };
  }
}

function unknownCommand(name: string, { execChecks }: CheckContext): Observation {
  const known = Object.keys(execChecks).sort();
  const allowed = known.length === 0 ? "it allows none" : `it allows ${known.join(", ")}`;
  return {
    outcome: "inconclusive",
    reason: "internal",
    detail: `this host's configuration allows no command "${name}" in exec_checks: ${allowed}`,
    latencyMs: 0,
  };
}
