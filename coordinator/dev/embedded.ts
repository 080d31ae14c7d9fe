import assert from "node:assert/strict";
import type { RunningAgent } from "../../agent/agent.js";
import { runAgent } from "../../agent/main.js";
import type { AgentConfig } from "../../common/config/model.js";
import { startCoordinator } from "../coordinator.js";
import type { CoordinatorOptions, RunningCoordinator } from "../coordinator.js";
import type { ConfigFile } from "../file-config.js";
import { agentStartSettings } from "../restart-needed.js";

/**
 * One coordinator and one agent in one process, speaking to each other over loopback as they would between
 * hosts: the form for a first look, and for a host that stands alone.
 * @throws ClusterduckError as `startCoordinator` and `runAgent`; nothing is left running then.
 */
export async function startEmbedded(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const coordinator = await startCoordinator(options);
  const abort = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const started = agentStartSettings(options.file.config.agent);
  const configOf = (file: ConfigFile): AgentConfig => ({
    ...file.config.agent,
    coordinators: [coordinator.grpcAddress],
    // What only a start can take stays as it was, and holds nothing else up.
    ...started,
  });
  let agent: RunningAgent;
  try {
    agent = await new Promise<RunningAgent>((resolve, reject) => {
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
