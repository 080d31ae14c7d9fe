import { Command, CommanderError, Option } from "commander";

import { ClusterduckError, messageOf } from "../common/errors.js";
import { VERSION } from "../common/version.js";
import { addAgentCommands } from "./commands/agents.js";
import { addCheckCommands } from "./commands/checks.js";
import { addCompletionCommands, COMPLETE_COMMAND } from "./commands/completion.js";
import { addContextCommands } from "./commands/contexts.js";
import { addCoordinatorCommands } from "./commands/coordinators.js";
import { addConfigCommands } from "./commands/config.js";
import { addEventsCommand } from "./commands/events.js";
import { addExplainCommand } from "./commands/explain.js";
import { addBalancerCommands, addClusterCommands } from "./commands/lists.js";
import { addNodeCommands } from "./commands/nodes.js";
import { addSeedCommands } from "./commands/seed-words.js";
import { addSnapshotCommands } from "./commands/snapshot.js";
import { addStatusCommand } from "./commands/status.js";
import { addTlsCommands } from "./commands/tls.js";
import { addTokenCommands } from "./commands/tokens.js";
import { addTriggerCommands } from "./commands/triggers.js";
import { EXIT, exitCodeOf } from "../common/exit-code.js";
import type { CliIo } from "./io.js";
import { durationOption } from "./options.js";
import { FORMATS, printData } from "./output/print.js";
import type { Format } from "./output/print.js";
import { DEFAULT_SERVER } from "./connection.js";
import type { GlobalOptions } from "./session.js";

const TIMEOUT_MS = 10_000;

/** Runs one command line and gives its exit code. Never rejects: whatever is thrown is told on standard error. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = EXIT.ok;
  try {
    const program = buildProgram(io, (code) => {
      exitCode = code;
    });
    await program.parseAsync([...args], { from: "user" });
    return io.signal.aborted ? EXIT.interrupted : exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (io.signal.aborted) return EXIT.interrupted;
    tellError(thrown, io);
    return exitCodeOf(thrown);
  }
}

/** @throws ClusterduckError INVALID_ARGUMENT when the environment names a format that there is not. */
function defaultFormat({ env }: CliIo): Format {
  const wanted = env["DUCK_OUTPUT"] ?? "";
  const format = FORMATS.find((each) => each === (wanted === "" ? "table" : wanted));
  if (format !== undefined) return format;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Invalid DUCK_OUTPUT ${JSON.stringify(wanted)}: expected ${FORMATS.join(", ")}`,
    { hint: "unset DUCK_OUTPUT" },
  );
}

export function buildProgram(io: CliIo, exit: (code: number) => void): Command {
  const context = { io, exit };
  const program = new Command("duckctl")
    .description("Asks and tells the coordinators of clusterduck")
    .version(VERSION, "-V, --version", "print the version")
    .addOption(
      new Option(
        "-s, --server <host:port,...>",
        `coordinators to ask, the first that answers (default: DUCK_SERVER, then the context's, then ${DEFAULT_SERVER})`,
      ),
    )
    .addOption(new Option("--cacert <file>", "authority to trust, for TLS (default: DUCK_CACERT)"))
    .addOption(new Option("--cert <file>", "certificate to show, for TLS (default: DUCK_CERT)"))
    .addOption(new Option("--key <file>", "its private key, for TLS (default: DUCK_KEY)"))
    .addOption(
      new Option(
        "--context <name>",
        "server and certificates by name (default: DUCK_CONTEXT, then the current one)",
      ),
    )
    .addOption(new Option("--stale", "take what the asked coordinator has, without waiting for the leader"))
    .addOption(
      new Option("-o, --output <format>", "how to print")
        .choices(FORMATS)
        .default(defaultFormat(io), "DUCK_OUTPUT, then table"),
    )
    .addOption(
      durationOption("--timeout <duration>", "how long to wait for an answer").default(TIMEOUT_MS, "10s"),
    )
    .enablePositionalOptions(false)
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .exitOverride();

  addStatusCommand(program, context);
  addExplainCommand(program, context);
  addEventsCommand(program, context);
  addClusterCommands(program, context);
  addNodeCommands(program, context);
  addCheckCommands(program, context);
  addTriggerCommands(program, context);
  addBalancerCommands(program, context);
  addAgentCommands(program, context);
  addCoordinatorCommands(program, context);
  addTokenCommands(program, context);
  addConfigCommands(program, context);
  addSnapshotCommands(program, context);
  addTlsCommands(program, context);
  addContextCommands(program, context);
  addSeedCommands(program, context);
  program
    .command("version")
    .description("print the version")
    .action((_options, command: Command) => {
      const { output } = command.optsWithGlobals<GlobalOptions>();
      if (output === "json" || output === "yaml") printData(io, output, { version: VERSION });
      else io.out(`${VERSION}\n`);
    });
  addCompletionCommands(program, context);
  tellHelp(program);
  inheritSettings(program, io);
  program.hook("preAction", (_program, command) => refuseEmptyWords(command));
  return program;
}

/** Commander copies these to new subcommands only when they are made with `command()` after they were set. */
function inheritSettings(command: Command, io: CliIo): void {
  for (const child of command.commands) {
    child.exitOverride().configureOutput({ writeOut: io.out, writeErr: io.err });
    tellHelp(child);
    inheritSettings(child, io);
  }
}

/** Options that may be empty: text for people. */
const MAY_BE_EMPTY = new Set(["reason"]);

/**
 * An empty word is a variable of a script that was never set. Taken as "none given" it would widen what the
 * command is about: all clusters, or the server of somebody else.
 * @throws ClusterduckError INVALID_ARGUMENT
 */
function refuseEmptyWords(command: Command): void {
  if (command.name() === COMPLETE_COMMAND) return;
  const names = command.registeredArguments.map((argument) => argument.name());
  const empty = command.args.findIndex((word) => word === "");
  const [option] = Object.entries(command.optsWithGlobals()).find(
    ([name, value]) => value === "" && !MAY_BE_EMPTY.has(name),
  ) ?? [null];
  if (empty === -1 && option === null) return;
  const what = option === null ? `<${names[Math.min(empty, names.length - 1)]}>` : `--${option}`;
  throw new ClusterduckError("INVALID_ARGUMENT", `${what} is empty: leave it out, or give it a value`);
}

/** A wrong command line is answered as every other error is: with the next command. */
function tellHelp(command: Command): void {
  const path: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) path.unshift(at.name());
  command.showHelpAfterError(`  try: ${path.join(" ")} --help`);
}

function tellError(thrown: unknown, io: CliIo): void {
  const message = thrown instanceof ClusterduckError ? thrown.message : `Unexpected: ${messageOf(thrown)}`;
  io.err(`error: ${message}\n`);
  const hint = thrown instanceof ClusterduckError ? thrown.hint : undefined;
  if (hint !== undefined) io.err(`  try: ${hint}\n`);
}
