import type { Command } from "commander";

import { withSession } from "../session.js";
import type { GlobalOptions, Session } from "../session.js";
import type { CliIo } from "../io.js";

/** What commands are built with. */
export type CommandContext = {
  readonly io: CliIo;
  /** The exit code of the command that ran, when it is not 0 and nothing was thrown. */
  readonly exit: (code: number) => void;
};

/** Runs `work` in a session with a coordinator, with the command's global options. */
export function inSession(
  context: CommandContext,
  command: Command,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  return withSession(context.io, command.optsWithGlobals<GlobalOptions>(), work);
}
