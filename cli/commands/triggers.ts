import type { Command } from "commander";

import { RUNS, TRIGGERS } from "../listings.js";
import { countOption } from "../options.js";
import { printList } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

const RUNS_SHOWN = 50;

export function addTriggerCommands(program: Command, context: CommandContext): void {
  const triggers = program.command("triggers").alias("trigger").description("commands that events run");

  triggers
    .command("list")
    .alias("ls")
    .argument("[cluster]")
    .description("list triggers with how their newest run went")
    .action((cluster: string | undefined, _options, command: Command) =>
      inSession(context, command, async (session) => {
        const answer = await session.control.listTriggers({ cluster: cluster ?? "" }, session.call);
        printList(session.io, session.format, TRIGGERS, answer.triggers);
      }),
    );

  triggers
    .command("runs")
    .argument("[cluster]")
    .argument("[trigger]")
    .addOption(countOption("--limit <count>", "how many, newest first", 1).default(RUNS_SHOWN))
    .description("list executions with their exit code and the end of their output")
    .action(
      (
        cluster: string | undefined,
        trigger: string | undefined,
        options: { limit: number },
        command: Command,
      ) =>
        inSession(context, command, async (session) => {
          const request = { cluster: cluster ?? "", trigger: trigger ?? "", limit: options.limit };
          const answer = await session.control.listRuns(request, session.call);
          printList(session.io, session.format, RUNS, answer.runs);
        }),
    );
}
