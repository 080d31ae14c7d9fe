import { readFile } from "node:fs/promises";
import type { Command } from "commander";

import { configJsonSchema } from "../../common/config/json-schema.js";
import { readFileConfig } from "../../common/config/load.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { PlainObject } from "../../common/wire/plain.js";
import type { ApplyConfigResponse, ConfigChange } from "../../proto/gen/clusterduck/v1/control_pb.js";
import {
  ApplyConfigResponseSchema,
  GetConfigResponseSchema,
} from "../../proto/gen/clusterduck/v1/control_pb.js";
import { editText } from "../edit-text.js";
import { EXIT } from "../../common/exit-code.js";
import type { CliIo } from "../io.js";
import { countOption } from "../options.js";
import { paint } from "../output/paint.js";
import { printData, printOne } from "../output/print.js";
import type { GlobalOptions, Session } from "../session.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

const DEFAULT_FILE = "/etc/clusterduck/clusterduck.yaml";

export function addConfigCommands(program: Command, context: CommandContext): void {
  const { io } = context;
  const config = program.command("config").description("the configuration that the coordinators share");

  config
    .command("validate")
    .argument("[file]", "default: /etc/clusterduck/clusterduck.yaml", DEFAULT_FILE)
    .description("check a file without asking any coordinator; tells every problem at once")
    .action((file: string, _options, command: Command) => {
      readFileConfig(file, io.env);
      const { output } = command.optsWithGlobals<GlobalOptions>();
      if (output === "json" || output === "yaml") printData(io, output, { file, isValid: true });
      else io.out(output === "name" ? `${file}\n` : `${file}: ok\n`);
    });

  config
    .command("schema")
    .description("print the JSON Schema of the file, for editors")
    .action((_options, command: Command) => {
      const { output } = command.optsWithGlobals<GlobalOptions>();
      printData(io, output === "yaml" ? "yaml" : "json", configJsonSchema() as PlainObject);
    });

  config
    .command("show")
    .description("print the replicated configuration as it was written")
    .action((_options, command: Command) =>
      inSession(context, command, async (session) => {
        const answer = await session.control.getConfig({}, session.call);
        if (isForPeople(session)) io.err(`# revision ${answer.revision}, from ${answer.source}\n`);
        printOne(io, session.format, {
          schema: GetConfigResponseSchema,
          message: answer,
          name: String(answer.revision),
          forPeople: () => answer.yaml,
        });
      }),
    );

  config
    .command("diff")
    .argument("<file>", "- for standard input")
    .description("what applying a file would change; exits with 0 for nothing and 1 for something")
    .action((file: string, _options, command: Command) =>
      inSession(context, command, async (session) => {
        const yaml = await readText(file, io);
        const plan = await session.control.applyConfig({ yaml, isDryRun: true }, session.call);
        printPlan(session, plan);
        if (plan.changes.length > 0) context.exit(EXIT.failed);
      }),
    );

  config
    .command("apply")
    .argument("<file>", "- for standard input")
    .option("--dry-run", "show the plan only")
    .addOption(countOption("--if-revision <revision>", "only when the configuration is at this revision", 0))
    .description("replace the replicated configuration, at once and as a whole")
    .action((file: string, options: { dryRun?: true; ifRevision?: number }, command: Command) =>
      inSession(context, command, async (session) => {
        const yaml = await readText(file, io);
        await applyYaml(session, yaml, { isDryRun: options.dryRun === true, ifRevision: options.ifRevision });
      }),
    );

  config
    .command("edit")
    .description("open the replicated configuration in $EDITOR, show the difference and apply it")
    .action((_options, command: Command) => inSession(context, command, editConfig));
}

/** The seed's `edit`, which saved nothing; this one applies what was saved, or keeps the text when it is refused. */
export async function editConfig(session: Session): Promise<void> {
  const before = await session.control.getConfig({}, session.call);
  await editText(session.io, before.yaml, async (yaml) => {
    await applyYaml(session, yaml, { isDryRun: false, ifRevision: Number(before.revision) });
  });
}

async function applyYaml(
  session: Session,
  yaml: string,
  options: { isDryRun: boolean; ifRevision: number | undefined },
): Promise<void> {
  const { ifRevision } = options;
  const answer = await session.control.applyConfig(
    {
      yaml,
      isDryRun: options.isDryRun,
      ...(ifRevision === undefined ? {} : { ifRevision: BigInt(ifRevision) }),
    },
    session.call,
  );
  if (answer.isRepeated && isForPeople(session)) {
    // The first answer was lost with its leader, and what changed with it.
    session.io.err(`Applied as revision ${answer.revision}\n`);
    return;
  }
  printPlan(session, answer);
  if (answer.changes.length === 0) return;
  session.io.err(
    options.isDryRun ? "Nothing was applied (--dry-run)\n" : `Applied as revision ${answer.revision}\n`,
  );
}

function isForPeople({ format }: Session): boolean {
  return format === "table" || format === "wide";
}

function printPlan(session: Session, plan: ApplyConfigResponse): void {
  const { io } = session;
  if (plan.changes.length === 0 && isForPeople(session)) {
    io.err("No difference\n");
    return;
  }
  printOne(io, session.format, {
    schema: ApplyConfigResponseSchema,
    message: plan,
    name: String(plan.revision),
    forPeople: () => plan.changes.map((change) => formatChange(change, io)).join(""),
  });
}

function formatChange(change: ConfigChange, io: CliIo): string {
  switch (change.kind) {
    case "add":
      return paint(`+ ${change.path}: ${change.after}\n`, "green", io);
    case "remove":
      return paint(`- ${change.path}: ${change.before}\n`, "red", io);
    default:
      return paint(`~ ${change.path}: ${change.before} → ${change.after}\n`, "yellow", io);
  }
}

async function readText(file: string, io: CliIo): Promise<string> {
  if (file === "-") return io.readInput();
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    throw new ClusterduckError("CONFIG_UNREADABLE", `Cannot read ${file}: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
}
