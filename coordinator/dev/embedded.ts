import { isDeepStrictEqual } from "node:util";

import { runAgent } from "../../agent/main.js";
import type { RunningAgentProgram } from "../../agent/main.js";
import type { AgentConfig } from "../../common/config/model.js";
import { ClusterduckError } from "../../common/errors.js";
import { issueCommand } from "../../common/tls/words.js";
import { ownAddress } from "../addresses.js";
import { startCoordinator } from "../coordinator.js";
import type { CoordinatorOptions, RunningCoordinator } from "../coordinator.js";
import type { ConfigFile } from "../file-config.js";

/**
 * One coordinator and one agent in one process, speaking to each other over loopback as they would between
 * hosts: the form for a first look, and for a host that stands alone.
 * @throws ClusterduckError as `startCoordinator` and `runAgent`; nothing is left running then.
 */
export async function startEmbedded(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const { agent: agentConfig, coordinator: coordinatorConfig } = options.file.config;
  if (coordinatorConfig.tls !== null && agentConfig.tls === null) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      "Cannot start the embedded agent: coordinator.tls is set and agent.tls is not",
      {
        hint: `Make it a certificate with ${issueCommand("agent", agentConfig.id)} and name the files as agent.tls`,
      },
    );
  }
  const listen = coordinatorConfig.grpc;
  const coordinator = await startCoordinator(options);
  const abort = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const configOf = (file: ConfigFile): AgentConfig => ({
    ...file.config.agent,
    coordinators: [ownAddress(listen, Number(coordinator.grpcAddress.split(":").at(-1)))],
  });
  let agent: RunningAgentProgram;
  try {
    agent = await new Promise<RunningAgentProgram>((resolve, reject) => {
      running = runAgent({
        config: configOf(options.file),
        clock: options.clock,
        random: options.random,
        logger: options.logger.child("agent"),
        signal: abort.signal,
        onStarted: resolve,
      });
      running.catch(reject);
    });
  } catch (thrown) {
    await coordinator.stop();
    throw thrown;
  }
  running.catch(options.onFailure);
  return {
    ...coordinator,
    reload: async (file) => {
      const result = await coordinator.reload(file);
      if (isDeepStrictEqual(file.config.agent.tls, agentConfig.tls)) await agent.reloadTls();
      if (!agent.reconfigure(configOf(file)))
        options.logger.warn("agent.needs_restart", { agent: file.config.agent.id });
      return result;
    },
    stop: async () => {
      // The agent goes first: nobody shall think it lost.
      abort.abort();
      await running.catch(() => undefined);
      await coordinator.stop();
    },
  };
}
