import { readFileConfig } from "../common/config/load.js";
import type { CommonFlags, DaemonCommands } from "../common/daemon/command-line.js";
import { EXIT } from "../common/exit-code.js";
import { readStatus } from "./status.js";
import { describeStatus, isWell } from "./status-text.js";

/** `duck-agent status`: the streams, checks and self-doubt of the agent that this configuration describes. */
export function addStatusCommand({ program, io, exit, withFile }: DaemonCommands): void {
  withFile(program.command("status"))
    .description("show the streams, checks and self-doubt of the agent that runs")
    .option("--json", "the same as JSON")
    .action(async (flags: CommonFlags & { json?: true }) => {
      const status = await readStatus(readFileConfig(flags.config).agent.stateDir);
      io.out(flags.json === true ? `${JSON.stringify(status, null, 2)}\n` : describeStatus(status));
      if (!isWell(status)) exit(EXIT.degraded);
    });
}
