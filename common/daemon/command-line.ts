import { join } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";

import { systemClock } from "../clock.js";
import { DEFAULT_CONFIG_PATH } from "../config/defaults.js";
import { readFileConfig } from "../config/load.js";
import type { FileConfig } from "../config/model.js";
import { ClusterduckError } from "../errors.js";
import { EXIT, exitCodeOf } from "../exit-code.js";
import { createLogger } from "../logger.js";
import type { Logger } from "../logger.js";
import { VERSION } from "../version.js";
import { launchDaemon, LaunchFailed } from "./daemonize.js";
import { followFile } from "./follow-file.js";
import { logFilePath } from "./log-files.js";
import type { LogStream } from "./log-files.js";
import { assertRuns, reloadDaemon, stopDaemon } from "./stop.js";
import { supervisorOf } from "./supervisor.js";

export type DaemonIo = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Ends what follows for ever. */
  readonly signal: AbortSignal;
};

/** What the daemons' command lines differ in. */
export type DaemonProgram = {
  readonly name: string;
  readonly description: string;
  /** Where it keeps things, by its configuration. */
  readonly places: (config: FileConfig) => DaemonPlaces;
  /** One line about a valid configuration, and warnings. */
  readonly summary: (config: FileConfig) => { readonly line: string; readonly warnings: readonly string[] };
  /**
   * Reads the files that the running program reads again at a reload, beside its configuration.
   * @throws ClusterduckError for one that it would refuse.
   */
  readonly assertReloadable: (config: FileConfig) => Promise<void>;
  /** Runs in the foreground until told to stop. */
  readonly run: (request: RunRequest) => Promise<void>;
  /** Options of `run` beside the common ones. */
  readonly runOptions?: readonly Option[];
  /** Whether these options of `run` make a configuration file needless. */
  readonly needsNoFile?: (options: Readonly<Record<string, unknown>>) => boolean;
  /** Commands beside the common ones. */
  readonly addCommands: (context: DaemonCommands) => void;
};

export type DaemonPlaces = {
  readonly pidFile: string | null;
  readonly logDir: string | null;
  /** Pid file and logs go here when their own places are not set. */
  readonly stateDir: string;
};

export type RunRequest = {
  readonly file: string;
  /** Null: `needsNoFile`. */
  readonly config: FileConfig | null;
  readonly pidFile: string | null;
  readonly logger: Logger;
  readonly options: Readonly<Record<string, unknown>>;
};

export type DaemonCommands = {
  readonly program: Command;
  readonly io: DaemonIo;
  readonly exit: (code: number) => void;
  /** Adds `-c FILE` and the like to a command; its action then gets `CommonFlags`. */
  readonly withFile: (command: Command) => Command;
};

export type CommonFlags = {
  readonly config: string;
  readonly pidFile?: string;
  readonly logDir?: string;
};

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const LOG_LINES = 50;

/** `-c` may stand before or after the subcommand's name. */
export function configOf(command: Command): string {
  return command.optsWithGlobals<CommonFlags>().config;
}

/** Runs the command line that this process was started with. */
export async function runDaemon(daemon: DaemonProgram): Promise<void> {
  const closed = new AbortController();
  // A reader that goes away (`| head`) ends what follows a log.
  process.stdout.on("error", () => closed.abort());
  process.exitCode = await runDaemonCli(daemon, process.argv.slice(2), {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    signal: closed.signal,
  });
}

/** Runs one command line and gives its exit code. Data goes to stdout, remarks and errors to stderr. */
export async function runDaemonCli(
  daemon: DaemonProgram,
  args: readonly string[],
  io: DaemonIo,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = commandLine(daemon, args, io, (code) => (exitCode = code));
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (thrown) {
    // Commander has said it already: help and version are no failures.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(thrown instanceof ClusterduckError)) throw thrown;
    io.err(`error: ${thrown.message}\n`);
    if (thrown.hint !== undefined) io.err(`  ${thrown.hint}\n`);
    return thrown instanceof LaunchFailed ? thrown.exitCode : exitCodeOf(thrown);
  }
}

function commandLine(
  daemon: DaemonProgram,
  args: readonly string[],
  io: DaemonIo,
  exit: (code: number) => void,
): Command {
  const program = new Command(daemon.name)
    .description(daemon.description)
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError("(--help tells more)")
    .configureOutput({ writeOut: io.out, writeErr: io.err });
  const places = (flags: CommonFlags): { pidFile: string; logDir: string } =>
    placesOf(daemon, flags, readFileConfig(flags.config));

  const run = withFile(program.command("run", { isDefault: true }))
    .description("run until told to stop")
    .option("-d, --daemon", "go to the background once it works; a watchdog starts it again when it dies");
  for (const option of daemon.runOptions ?? []) run.addOption(option);
  run.action((flags: CommonFlags & { daemon?: true }) => runOrLaunch(daemon, flags, args, io));

  withFile(program.command("stop"))
    .description("stop the one in the background")
    .option("--force", "kill it when it does not end in time")
    .action((flags: CommonFlags & { force?: true }) => stop(daemon.name, places(flags).pidFile, flags, io));

  withFile(program.command("reload"))
    .description(
      "make the one in the background read its configuration and certificates again; wrong ones are refused here",
    )
    .action(async (flags: CommonFlags) => {
      const config = readFileConfig(flags.config);
      const { pidFile } = placesOf(daemon, flags, config);
      assertRuns(daemon.name, pidFile);
      await daemon.assertReloadable(config);
      const pid = reloadDaemon(daemon.name, pidFile);
      io.err(`${daemon.name} ${pid} reads its configuration again\n`);
    });

  withFile(program.command("validate"))
    .description("read the configuration and say everything that is wrong with it")
    .action((flags: CommonFlags) => {
      const { line, warnings } = daemon.summary(readFileConfig(flags.config));
      io.out(`${flags.config} is valid: ${line}\n`);
      for (const warning of warnings) io.err(`warning: ${warning}\n`);
    });

  withFile(program.command("log"))
    .description("show what the one in the background wrote")
    .argument("[stream]", "stdout or stderr", "stderr")
    .option("-f, --follow", "go on with what is added")
    .addOption(
      new Option("-n, --lines <count>", "lines from the end").default(LOG_LINES).argParser(parseCount),
    )
    .action((stream: string, flags: CommonFlags & { follow?: true; lines: number }) =>
      log(logFilePath(places(flags).logDir, daemon.name, asStream(stream)), flags, io),
    );

  daemon.addCommands({ program, io, exit, withFile });
  return program;
}

function withFile(command: Command): Command {
  return command
    .option("-c, --config <file>", "configuration file", DEFAULT_CONFIG_PATH)
    .option("--pid-file <file>", "where the background process is noted")
    .option("--log-dir <directory>", "where the background process writes");
}

async function runOrLaunch(
  daemon: DaemonProgram,
  flags: CommonFlags & { readonly daemon?: true },
  args: readonly string[],
  io: DaemonIo,
): Promise<void> {
  const options = flags as unknown as Readonly<Record<string, unknown>>;
  const needsFile = daemon.needsNoFile?.(options) !== true;
  const config = needsFile ? readFileConfig(flags.config) : null;
  // Under systemd, or as a container's first process, the background would only hide us from who restarts us.
  const supervisor = supervisorOf(process.env, process.pid);
  if (flags.daemon === true && supervisor !== null)
    io.err(`-d is left out: ${supervisor} restarts ${daemon.name}\n`);
  if (flags.daemon !== true || supervisor !== null) {
    const logger = createLogger({ program: daemon.name });
    const pidFile = flags.pidFile ?? (config === null ? null : daemon.places(config).pidFile);
    await daemon.run({ file: flags.config, config, pidFile, logger, options });
    return;
  }
  if (config === null) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      "Cannot go to the background without a configuration file: give -c FILE",
    );
  }
  const launched = await launchDaemon({
    program: daemon.name,
    args: withoutDaemonFlag(args),
    ...placesOf(daemon, flags, config),
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  io.err(`${daemon.name} runs in the background (pid ${launched.pid}), its log is ${launched.stderrLog}\n`);
}

async function stop(
  program: string,
  pidFile: string,
  flags: { readonly force?: true },
  io: DaemonIo,
): Promise<void> {
  const isForced = flags.force === true;
  const outcome = await stopDaemon({ program, pidFile, timeoutMs: STOP_TIMEOUT_MS, isForced });
  if (outcome.kind === "notRunning") {
    throw new ClusterduckError(
      "NOT_RUNNING",
      `Cannot stop ${program}: no running process in pid file "${pidFile}"`,
    );
  }
  io.err(`${program} ${outcome.pid} ${outcome.wasKilled ? "was killed" : "has stopped"}\n`);
}

async function log(path: string, flags: { follow?: true; lines: number }, io: DaemonIo): Promise<void> {
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

function placesOf(
  daemon: DaemonProgram,
  flags: CommonFlags,
  config: FileConfig,
): { pidFile: string; logDir: string } {
  const { pidFile, logDir, stateDir } = daemon.places(config);
  return {
    pidFile: flags.pidFile ?? pidFile ?? join(stateDir, `${daemon.name}.pid`),
    logDir: flags.logDir ?? logDir ?? join(stateDir, "log"),
  };
}

function asStream(word: string): LogStream {
  if (word === "stdout" || word === "stderr") return word;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Unknown log ${JSON.stringify(word)}: expected stdout or stderr`,
  );
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("expected a whole number");
}

/** `-d` may stand alone only: commander takes `-dc FILE` apart, and the child must not start a daemon again. */
function withoutDaemonFlag(args: readonly string[]): readonly string[] {
  return args
    .filter((argument) => argument !== "-d" && argument !== "--daemon")
    .map((argument) => (/^-d[a-z]/.test(argument) ? `-${argument.slice(2)}` : argument));
}
