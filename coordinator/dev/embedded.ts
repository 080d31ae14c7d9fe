import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { runAgent } from "../../agent/main.js";
import type { RunningAgentProgram } from "../../agent/main.js";
import type { AgentConfig } from "../../common/config/model.js";
import { ClusterduckError } from "../../common/errors.js";
import { issueCommand } from "../../common/tls/words.js";
import { ownAddress } from "../addresses.js";
import { startCoordinator } from "../coordinator.js";
import type { RunningCoordinator } from "../coordinator.js";
import type { CoordinatorOptions } from "../options.js";
import type { ConfigFile } from "../file-config.js";
import { agentStartSettings } from "../restart-needed.js";

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
  const started = agentStartSettings(options.file.config.agent);
  const configOf = (file: ConfigFile): AgentConfig => ({
    ...file.config.agent,
    coordinators: [ownAddress(listen, Number(coordinator.grpcAddress.split(":").at(-1)))],
    // What only a start can take stays as it was, and holds nothing else up.
    ...started,
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
      // Files that are no longer named may be gone.
      if (isDeepStrictEqual(file.config.agent.tls, agentConfig.tls)) await agent.reloadTls();
      assert(agent.reconfigure(configOf(file)), "a running agent takes all that needs no new start");
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
