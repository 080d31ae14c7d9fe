import type { Command } from "commander";
import { Argument } from "commander";

import { completionsFor, serverIn } from "../completion.js";
import { completionScript, SHELLS } from "../completion-script.js";
import type { Shell } from "../completion-script.js";
import { liveNames } from "../live-names.js";
import type { CommandContext } from "./command.js";

export function addCompletionCommands(program: Command, context: CommandContext): void {
  const { io } = context;
  program
    .command("completion")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .description("print a completion script, as in: source <(duckctl completion bash)")
    .action((shell: Shell) => {
      io.out(completionScript(shell));
    });

  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .action(async (words: string[]) => {
      const candidates = await completionsFor(program, words, () => liveNames(io, serverIn(words)));
      for (const { word, description } of candidates) io.out(`${word}\t${description}\n`);
    });
}
