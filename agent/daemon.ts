import { addGenTlsCommand } from "../common/daemon/gen-tls.js";
import { ClusterduckError } from "../common/errors.js";
import type { DaemonProgram } from "../common/daemon/command-line.js";
import { readMaterial } from "../common/tls/material.js";
import { runAgentService } from "./service.js";
import { addStatusCommand } from "./status-command.js";

const PROGRAM = "duck-agent";

/** What the program duck-agent is made of. */
export const agentDaemon: DaemonProgram = {
  name: PROGRAM,
  description: "Checks the services beside it, reports to the coordinators, and applies what they render",
  places: ({ agent }) => ({ pidFile: agent.pidFile, logDir: agent.logDir, stateDir: agent.stateDir }),
  summary: ({ agent }) => ({
    line:
      `agent "${agent.id}", ${agent.coordinators.length} coordinators, ${agent.nodes.length} nodes, ` +
      `${Object.keys(agent.proxies).length} proxies`,
    warnings:
      agent.coordinators.length === 0 ? ["agent.coordinators is empty, so the agent cannot start"] : [],
  }),
  assertReloadable: async ({ agent: { id, tls } }) => {
    if (tls !== null) await readMaterial(tls, { role: "agent", name: id });
  },
  run: async ({ file, config, pidFile, logger }) => {
    if (config === null)
      throw new ClusterduckError("INVALID_ARGUMENT", "An agent needs a configuration file");
    await runAgentService({ program: PROGRAM, file, config: config.agent, pidFile, logger });
  },
  addCommands: (context) => {
    addStatusCommand(context);
    addGenTlsCommand(context, { role: "agent", section: "agent", settings: ({ agent }) => agent });
  },
};
