import type { Command } from "commander";

import { AGENTS } from "../listings.js";
import { printData, printList } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

export function addAgentCommands(program: Command, context: CommandContext): void {
  const agents = program.command("agents").alias("agent").description("the observers on the hosts");

  agents
    .command("list")
    .alias("ls")
    .description("list agents")
    .action((_options, command: Command) =>
      inSession(context, command, async (session) => {
        const answer = await session.control.listAgents({}, session.call);
        printList(session.io, session.format, AGENTS, answer.agents);
      }),
    );

  agents
    .command("remove")
    .alias("rm")
    .argument("<agent>")
    .description("forget a lost agent that will not come back, and the nodes that it declared")
    .action((id: string, _options, command: Command) =>
      inSession(context, command, async ({ control, call, io, format }) => {
        const index = Number((await control.removeAgent({ id }, call)).index);
        if (format === "json" || format === "yaml") printData(io, format, { removed: id, index });
        else io.out(format === "name" ? `${id}\n` : `agent ${id} removed (index ${index})\n`);
      }),
    );
}
