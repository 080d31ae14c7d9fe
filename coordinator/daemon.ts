import { Option } from "commander";

import type { DaemonProgram, RunRequest } from "../common/daemon/command-line.js";
import { addGenTlsCommand } from "../common/daemon/gen-tls.js";
import { readMaterial } from "../common/tls/material.js";
import { startCoordinator } from "./coordinator.js";
import { startEmbedded } from "./dev/embedded.js";
import { packageRoot, startExample } from "./dev/example.js";
import { greeting } from "./dev/greeting.js";
import { addMaintenanceCommands } from "./maintenance-commands.js";
import { readConfigFile, runCoordinatorService } from "./service.js";
import { addStatusCommand } from "./status-command.js";
import { addTierCommands } from "./tier-commands.js";

const PROGRAM = "duck-coordinator";
/** How long the example's services have for their first state before people are told to look, milliseconds. */
const FIRST_STATES_MS = 10_000;

/** What the program duck-coordinator is made of. */
export const coordinatorDaemon: DaemonProgram = {
  name: PROGRAM,
  description: "Keeps the replicated state, decides which nodes are usable, and acts on it",
  places: ({ coordinator }) => ({
    pidFile: coordinator.pidFile,
    logDir: coordinator.logDir,
    stateDir: coordinator.dataDir,
  }),
  summary: ({ coordinator, replicated }) => {
    const clusters = Object.values(replicated.clusters);
    const nodes = clusters.reduce((sum, cluster) => sum + cluster.nodes.length, 0);
    const balancers = Object.keys(replicated.balancers).length;
    return {
      line: `coordinator "${coordinator.id}", ${clusters.length} clusters, ${nodes} nodes, ${balancers} balancers`,
      warnings: [],
    };
  },
  assertReloadable: async ({ coordinator: { id, tls } }) => {
    if (tls !== null) await readMaterial(tls, { role: "member", name: id });
  },
  runOptions: [
    new Option("--dev", "with an agent in the same process; without -c also with an example to look at"),
  ],
  needsNoFile: (options) =>
    options["dev"] === true && !process.argv.some((word) => /^(-c|--config)/.test(word)),
  run,
  addCommands: (context) => {
    addStatusCommand(context);
    addMaintenanceCommands(context);
    addTierCommands(context);
    addGenTlsCommand(context, {
      role: "member",
      section: "coordinator",
      settings: ({ coordinator }) => coordinator,
    });
  },
};

async function run({ file, config, pidFile, logger, options }: RunRequest): Promise<void> {
  if (config === null) {
    await runExample({ pidFile, logger });
    return;
  }
  const hasAgent = options["dev"] === true;
  await runCoordinatorService({
    program: PROGRAM,
    readFile: () => readConfigFile(file),
    env: process.env,
    pidFile,
    logger,
    start: hasAgent ? startEmbedded : startCoordinator,
    hasAgent,
  });
}

async function runExample({ pidFile, logger }: Pick<RunRequest, "pidFile" | "logger">): Promise<void> {
  const example = await startExample(packageRoot(), process.env);
  try {
    await runCoordinatorService({
      program: PROGRAM,
      readFile: async () => example.file,
      env: example.env,
      pidFile,
      logger,
      start: startEmbedded,
      hasAgent: true,
      // What it asks people to try works from the first moment on.
      onStarted: (coordinator) => {
        coordinator
          .firstStates(FIRST_STATES_MS)
          .then((unseen) => process.stdout.write(greeting(coordinator, example, unseen)))
          // It stops before it was ready.
          .catch(() => undefined);
      },
    });
  } finally {
    await example.stop();
  }
}
