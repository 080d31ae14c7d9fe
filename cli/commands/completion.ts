import type { Command } from "commander";
import { Argument } from "commander";

import { completionsFor, serverIn } from "../completion.js";
import { completionScript, SHELLS } from "../completion-script.js";
import type { Shell } from "../completion-script.js";
import { liveNames } from "../live-names.js";
import type { CommandContext } from "./command.js";

/** For the shells' scripts (completion-script.ts), not for people: the word before the cursor may be empty. */
export const COMPLETE_COMMAND = "__complete";

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
    .command(COMPLETE_COMMAND, { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .action(async (words: string[]) => {
      const candidates = await completionsFor(program, words, () => liveNames(io, serverIn(words)));
      for (const { word, description } of candidates) io.out(`${word}\t${description}\n`);
    });
}
