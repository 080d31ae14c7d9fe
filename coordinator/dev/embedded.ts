import { runAgent } from "../../agent/main.js";
import { startCoordinator } from "../coordinator.js";
import type { CoordinatorOptions, RunningCoordinator } from "../coordinator.js";

/**
 * One coordinator and one agent in one process, speaking to each other over loopback as they would between
 * hosts: the form for a first look, and for a host that stands alone.
 * @throws ClusterduckError as `startCoordinator` and `runAgent`; nothing is left running then.
 */
export async function startEmbedded(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const coordinator = await startCoordinator(options);
  const abort = new AbortController();
  let running: Promise<void> = Promise.resolve();
  try {
    await new Promise<void>((resolve, reject) => {
      running = runAgent({
        config: { ...options.file.config.agent, coordinators: [coordinator.grpcAddress] },
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
    stop: async () => {
      // The agent goes first: nobody shall think it lost.
      abort.abort();
      await running.catch(() => undefined);
      await coordinator.stop();
    },
  };
}
