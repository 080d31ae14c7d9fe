/*
 * A small service for tests of common/daemon. Arguments: a command, then key=value.
 *   start|foreground pidFile= logDir= behaviour=well|failing|crashing|mute
 */
import { appendFileSync } from "node:fs";
import { messageOf } from "../../common/errors.js";
import { LaunchFailed, launchDaemon } from "../../common/daemon/daemonize.js";
import { readRole } from "../../common/daemon/messages.js";
import { enterService } from "../../common/daemon/service.js";
import { runWatchdog } from "../../common/daemon/watchdog.js";
import { createLogger } from "../../common/logger.js";

const PROGRAM = "duck-test";
const [command, ...rest] = process.argv.slice(2);
const options = Object.fromEntries(rest.map((pair) => pair.split("=", 2) as [string, string]));
const { pidFile = "", logDir = "", behaviour = "well", journal = "" } = options;
const note = (line: string) => appendFileSync(journal, `${line}\n`);

async function launch(): Promise<void> {
  try {
    const { pid } = await launchDaemon({
      program: PROGRAM,
      args: ["foreground", ...rest],
      pidFile,
      logDir,
      readyTimeoutMs: behaviour === "mute" ? 1_000 : 20_000,
    });
    console.log(`started ${pid}`);
  } catch (thrown) {
    console.error(`error: ${messageOf(thrown)}`);
    process.exitCode = thrown instanceof LaunchFailed ? thrown.exitCode : 1;
  }
}

async function serve(): Promise<void> {
  const logger = createLogger({ program: PROGRAM });
  if (behaviour === "failing") {
    console.error("error: the configuration is wrong");
    process.exit(2);
  }
  const service = enterService({
    program: PROGRAM,
    logger,
    pidFile: pidFile === "" ? null : pidFile,
    onStop: (signal) => {
      note(`stopping ${signal}`);
      if (behaviour === "stubborn") return;
      clearInterval(alive);
      void service.close();
    },
    onReload: () => note("reloaded"),
  });
  const alive = setInterval(() => undefined, 1_000);
  note(`running ${process.pid}`);
  if (behaviour === "mute") return;
  await service.ready("serving");
  console.log("hello on stdout");
}

const role = readRole(process.env);
if (role?.role === "watchdog") process.exitCode = await runWatchdog(role);
else if (command === "start") await launch();
else
  await serve().catch((thrown: unknown) => {
    console.error(`error: ${messageOf(thrown)}`);
    process.exitCode = 1;
  });
