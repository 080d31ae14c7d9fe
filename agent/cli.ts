import { join } from "node:path";
import { Command, CommanderError, Option } from "commander";
import { systemClock } from "../common/clock.js";
import type { AgentConfig } from "../common/config/model.js";
import { readFileConfig } from "../common/config/load.js";
import { launchDaemon } from "../common/daemon/daemonize.js";
import { followFile } from "../common/daemon/follow-file.js";
import { logFilePath } from "../common/daemon/log-files.js";
import type { LogStream } from "../common/daemon/log-files.js";
import { reloadDaemon, stopDaemon } from "../common/daemon/stop.js";
import { ClusterduckError } from "../common/errors.js";
import { createLogger } from "../common/logger.js";
import { VERSION } from "../common/version.js";
import { EXIT_DEGRADED, EXIT_USAGE, exitCodeOf } from "./exit-code.js";
import { runAgentService } from "./service.js";
import { readStatus } from "./status.js";
import { describeStatus, isWell } from "./status-text.js";

const PROGRAM = "duck-agent";
const DEFAULT_FILE = "/etc/clusterduck/clusterduck.yaml";
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;

export type AgentIo = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Ends what follows for ever. */
  readonly signal: AbortSignal;
};

type Flags = {
  readonly config: string;
  readonly daemon?: boolean;
  readonly pidFile?: string;
  readonly logDir?: string;
};

/** Runs one command line and answers with the exit code. Data goes to stdout, remarks and errors to stderr. */
export async function runAgentCli(args: readonly string[], io: AgentIo): Promise<number> {
  let exitCode = 0;
  const program = commandLine(io, (code) => (exitCode = code), args);
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (thrown) {
    // Commander has said it already: help and version are no failures.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_USAGE;
    if (!(thrown instanceof ClusterduckError)) throw thrown;
    io.err(`error: ${thrown.message}\n`);
    if (thrown.hint !== undefined) io.err(`  try: ${thrown.hint}\n`);
    return exitCodeOf(thrown);
  }
}

function commandLine(io: AgentIo, exitWith: (code: number) => void, args: readonly string[]): Command {
  const program = new Command(PROGRAM)
    .description("Checks the services beside it, reports to the coordinators, and applies what they render")
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError()
    .configureOutput({ writeOut: io.out, writeErr: io.err });

  withFile(program.command("run", { isDefault: true }))
    .description("run until told to stop")
    .option("-d, --daemon", "go to the background once it works; a watchdog starts it again when it dies")
    .action((flags: Flags) => run(flags, io, args));
  withFile(program.command("stop"))
    .description("stop the agent in the background")
    .option("--force", "kill it when it does not end in time")
    .action((flags: Flags & { force?: boolean }) => stop(flags, io));
  withFile(program.command("reload"))
    .description("make the agent read its configuration again")
    .action((flags: Flags) => {
      const { agent } = readFileConfig(flags.config);
      io.err(`${PROGRAM} ${reloadDaemon(PROGRAM, pidFileOf(flags, agent))} reads its configuration again\n`);
    });
  withFile(program.command("status"))
    .description("show the streams, checks and self-doubt of the agent that runs")
    .option("--json", "the same as JSON")
    .action(async (flags: Flags & { json?: boolean }) => {
      const status = await readStatus(readFileConfig(flags.config).agent.stateDir);
      io.out(flags.json === true ? `${JSON.stringify(status, null, 2)}\n` : describeStatus(status));
      if (!isWell(status)) exitWith(EXIT_DEGRADED);
    });
  withFile(program.command("validate"))
    .description("read the configuration and say what is wrong with it")
    .action((flags: Flags) => {
      const { agent } = readFileConfig(flags.config);
      const proxies = Object.keys(agent.proxies).length;
      io.out(
        `${flags.config} is valid: agent "${agent.id}", ${agent.coordinators.length} coordinators, ${agent.nodes.length} nodes, ${proxies} proxies\n`,
      );
      if (agent.coordinators.length === 0)
        io.err("warning: agent.coordinators is empty, so the agent cannot start\n");
    });
  withFile(program.command("log"))
    .description("show what the agent in the background wrote")
    .argument("[stream]", "stdout or stderr", "stderr")
    .option("-f, --follow", "go on with what is added")
    .addOption(new Option("-n, --lines <count>", "lines from the end").default(50).argParser(parseCount))
    .action((stream: string, flags: Flags & { follow?: boolean; lines: number }) => log(stream, flags, io));
  return program;
}

function withFile(command: Command): Command {
  return command
    .option("-c, --config <file>", "configuration file", DEFAULT_FILE)
    .option("--pid-file <file>", "where the background process is noted; default: agent.pid_file")
    .option("--log-dir <directory>", "where the background process writes; default: agent.log_dir");
}

async function run(flags: Flags, io: AgentIo, args: readonly string[]): Promise<void> {
  const { agent } = readFileConfig(flags.config);
  if (flags.daemon !== true) {
    const logger = createLogger({ program: PROGRAM });
    const pidFile = flags.pidFile ?? agent.pidFile;
    await runAgentService({ program: PROGRAM, file: flags.config, config: agent, pidFile, logger });
    return;
  }
  const launched = await launchDaemon({
    program: PROGRAM,
    args: withoutDaemonFlag(args),
    pidFile: pidFileOf(flags, agent),
    logDir: logDirOf(flags, agent),
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  io.err(`${PROGRAM} runs in the background (pid ${launched.pid}), its log is ${launched.stderrLog}\n`);
}

async function stop(flags: Flags & { readonly force?: boolean }, io: AgentIo): Promise<void> {
  const pidFile = pidFileOf(flags, readFileConfig(flags.config).agent);
  const outcome = await stopDaemon({
    program: PROGRAM,
    pidFile,
    timeoutMs: STOP_TIMEOUT_MS,
    isForced: flags.force === true,
  });
  if (outcome.kind === "notRunning") {
    throw new ClusterduckError(
      "NOT_RUNNING",
      `Cannot stop ${PROGRAM}: no running process in pid file "${pidFile}"`,
    );
  }
  io.err(`${PROGRAM} ${outcome.pid} ${outcome.wasKilled ? "was killed" : "has stopped"}\n`);
}

async function log(
  stream: string,
  flags: Flags & { follow?: boolean; lines: number },
  io: AgentIo,
): Promise<void> {
  const { agent } = readFileConfig(flags.config);
  const path = logFilePath(logDirOf(flags, agent), PROGRAM, asStream(stream));
  const chunks = followFile({
    path,
    lines: flags.lines,
    isFollowing: flags.follow === true,
    signal: io.signal,
    clock: systemClock,
  });
  const decoder = new TextDecoder();
  for await (const chunk of chunks) io.out(decoder.decode(chunk, { stream: true }));
}

function asStream(word: string): LogStream {
  if (word === "stdout" || word === "stderr") return word;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Unknown log ${JSON.stringify(word)}: expected stdout or stderr`,
  );
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Cannot show ${JSON.stringify(text)} lines: expected a whole number`,
  );
}

function pidFileOf(flags: Flags, agent: AgentConfig): string {
  return flags.pidFile ?? agent.pidFile ?? join(agent.stateDir, `${PROGRAM}.pid`);
}

function logDirOf(flags: Flags, agent: AgentConfig): string {
  return flags.logDir ?? agent.logDir ?? join(agent.stateDir, "log");
}

/** `-d` may stand alone only: commander takes `-dc FILE` apart, and the child must not start a daemon again. */
function withoutDaemonFlag(args: readonly string[]): readonly string[] {
  return args
    .filter((arg) => arg !== "-d" && arg !== "--daemon")
    .map((arg) => (/^-d[a-z]/.test(arg) ? `-${arg.slice(2)}` : arg));
}
