import { readRole } from "../common/daemon/messages.js";
import { runWatchdog } from "../common/daemon/watchdog.js";
import { runAgentCli } from "./cli.js";

/** duck-agent. Started again by `-d` it is the watchdog, which starts the agent proper. */
const role = readRole(process.env);
if (role?.role === "watchdog") {
  process.exitCode = await runWatchdog(role);
} else {
  process.exitCode = await runAgentCli(process.argv.slice(2), {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    // A reader that goes away (`| head`) ends what follows a log.
    signal: untilClosed(process.stdout),
  });
}

function untilClosed(stream: NodeJS.WriteStream): AbortSignal {
  const controller = new AbortController();
  stream.on("error", () => controller.abort());
  return controller.signal;
}
