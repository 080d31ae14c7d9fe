import { readFile } from "node:fs/promises";

import type { Clock } from "../../common/clock.js";
import type { ReloadConfig } from "../../common/config/model.js";
import { ClusterduckError, assertNever, messageOf } from "../../common/errors.js";
import { runCommand } from "../../common/run-command.js";
import { ask } from "./cli.js";
import { pidIn } from "./master-process.js";

export type ReloadOutcome =
  /** The proxy took the file, or (`isProven` false) was told to and cannot be asked. */
  | { readonly kind: "reloaded"; readonly isProven: boolean }
  /** It runs on with what it had. */
  | { readonly kind: "rejected"; readonly problem: string }
  /** Nobody is there to reload: a proxy that starts later reads the new file. */
  | { readonly kind: "notRunning"; readonly problem: string }
  | { readonly kind: "skipped" };

export type ReloadContext = {
  readonly clock: Clock;
  /** Ends the wait for a master that does not answer yet; a reload that was begun is seen through. */
  readonly signal: AbortSignal;
  /** Identity of the worker that runs now; null when it cannot be known. */
  readonly worker: () => Promise<string | null>;
  /** How long a new worker must last to be a proof. Milliseconds; 0 for one that answers. */
  readonly settleMs: number;
};

/** Binding a port that is in use keeps HAProxy 2.6 busy for 2 s, and 10,000 servers take 2.5 s. */
const PROOF_MS = 15_000;
/** The master refuses connections for a moment when it starts and while it reloads. */
const START_MS = 1_000;
const POLL_MS = 5;
const OUTPUT_BYTES = 4_096;

/** Makes HAProxy take the new file, and waits until that is proven where it can be. */
export async function reload(config: ReloadConfig, context: ReloadContext): Promise<ReloadOutcome> {
  switch (config.kind) {
    case "master":
      return reloadByMaster(config.socket, context);
    case "pidFile":
      return reloadBySignal(config.path, context);
    case "command":
      return reloadByCommand(config, context);
    case "none":
      return { kind: "skipped" };
    default:
      return assertNever(config);
  }
}

type Processes = { readonly reloads: number; readonly failed: number; readonly newestWorker: number | null };

/**
 * HAProxy 2.6 answers `reload` with nothing, so the process list is the proof: a worker that has seen no
 * reload, or the master's count of failed ones. From 2.7 on the answer itself tells, with the log.
 */
async function reloadByMaster(socket: string, { clock, signal }: ReloadContext): Promise<ReloadOutcome> {
  let before: Processes;
  try {
    before = await patiently(socket, clock, signal);
  } catch (thrown) {
    return { kind: "notRunning", problem: `${messageOf(thrown)}: is HAProxy running with -W -S ${socket}?` };
  }
  const answer = await ask(socket, "reload").catch((thrown: unknown) => {
    // The master may replace itself before the answer is out.
    if (thrown instanceof ClusterduckError) return "";
    throw thrown;
  });
  if (/^Success=0/m.test(answer)) {
    return {
      kind: "rejected",
      problem: `HAProxy refused to reload: ${answer.split("--").at(-1)?.trim() ?? ""}`,
    };
  }
  const deadlineMs = clock.monotonicMs() + PROOF_MS;
  // Once told, a reload is seen through: to stop looking now would be to call it failed and undo it.
  while (clock.monotonicMs() < deadlineMs) {
    const now = await processes(socket).catch(() => null);
    if (now !== null && now.newestWorker !== null && now.newestWorker !== before.newestWorker) {
      return { kind: "reloaded", isProven: true };
    }
    if (now !== null && now.reloads !== before.reloads && now.failed > 0) {
      return {
        kind: "rejected",
        problem: "HAProxy failed to reload and runs on as before: its log says why",
      };
    }
    await clock.sleep(POLL_MS);
  }
  return {
    kind: "rejected",
    problem: `HAProxy showed no new worker within ${PROOF_MS / 1_000} s of a reload`,
  };
}

async function patiently(socket: string, clock: Clock, signal: AbortSignal): Promise<Processes> {
  const deadlineMs = clock.monotonicMs() + START_MS;
  for (;;) {
    try {
      return await processes(socket);
    } catch (thrown) {
      if (clock.monotonicMs() >= deadlineMs || signal.aborted) throw thrown;
      await clock.sleep(10 * POLL_MS, signal);
    }
  }
}

async function processes(socket: string): Promise<Processes> {
  return parseProcesses(await ask(socket, "show proc"));
}

/** Reads `show proc` of the master. Current workers are those that have seen no reload. */
export function parseProcesses(text: string): Processes {
  const master = /^\d+\s+master\s+(\d+)(?:\s+\[failed: (\d+)\])?/m.exec(text);
  const worker = /^(\d+)\s+worker\s+0\s/m.exec(text);
  return {
    reloads: Number(master?.[1] ?? 0),
    failed: Number(master?.[2] ?? 0),
    newestWorker: worker === null ? null : Number(worker[1]),
  };
}

async function reloadBySignal(path: string, context: ReloadContext): Promise<ReloadOutcome> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => thrown);
  if (typeof text !== "string") {
    return {
      kind: "notRunning",
      problem: `Cannot read pid file "${path}": ${messageOf(text)}: is HAProxy running?`,
    };
  }
  const pid = pidIn(text);
  if (!(pid > 1)) return { kind: "notRunning", problem: `Pid file "${path}" holds no process id` };
  const before = await context.worker();
  try {
    process.kill(pid, "SIGUSR2");
  } catch (thrown) {
    const problem = `Cannot signal HAProxy's master ${pid} of "${path}": ${messageOf(thrown)}`;
    return thrown instanceof Error && "code" in thrown && thrown.code === "ESRCH"
      ? { kind: "notRunning", problem }
      : { kind: "rejected", problem };
  }
  return proveByWorker(before, context);
}

async function reloadByCommand(
  config: Extract<ReloadConfig, { kind: "command" }>,
  context: ReloadContext,
): Promise<ReloadOutcome> {
  const before = await context.worker();
  const env = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const outcome = await runCommand({
    file: "/bin/sh",
    args: ["-c", config.command],
    env,
    timeoutMs: config.timeoutMs,
    outputBytes: OUTPUT_BYTES,
  });
  const output =
    outcome.output.trim() === "" ? "" : `: ${outcome.output.trim().split("\n").slice(-3).join("; ")}`;
  const what = `Reload command "${config.command}"`;
  switch (outcome.kind) {
    case "exited":
      if (outcome.code !== 0)
        return { kind: "rejected", problem: `${what} exited with ${outcome.code}${output}` };
      return proveByWorker(before, context);
    case "timedOut":
      return { kind: "rejected", problem: `${what} did not end within ${config.timeoutMs} ms${output}` };
    case "killed":
      return { kind: "rejected", problem: `${what} was ended by ${outcome.signal}${output}` };
    case "aborted":
      return { kind: "rejected", problem: `${what} was cancelled` };
    case "notStarted":
      return { kind: "rejected", problem: `${what} could not be started: ${outcome.error}` };
  }
}

/** How long a worker of a signalled or commanded reload may take to show. */
const WORKER_MS = 5_000;

async function proveByWorker(before: string | null, context: ReloadContext): Promise<ReloadOutcome> {
  if (before === null) {
    const isThere = (await context.worker()) !== null;
    return { kind: "reloaded", isProven: isThere };
  }
  const deadlineMs = context.clock.monotonicMs() + WORKER_MS;
  while (context.clock.monotonicMs() < deadlineMs) {
    const now = await context.worker();
    if (now !== null && now !== before) {
      if (context.settleMs > 0) await context.clock.sleep(context.settleMs);
      if (context.settleMs === 0 || (await context.worker()) === now)
        return { kind: "reloaded", isProven: true };
    }
    await context.clock.sleep(POLL_MS);
  }
  const problem = `HAProxy still runs its old worker ${WORKER_MS / 1_000} s after the reload: its log says why`;
  return { kind: "rejected", problem };
}
