import { isDeepStrictEqual } from "node:util";
import type { AgentConfig } from "../common/config/model.js";
import { readFileConfig } from "../common/config/load.js";
import { systemClock } from "../common/clock.js";
import { enterService } from "../common/daemon/service.js";
import type { Logger } from "../common/logger.js";
import { systemRandom } from "../common/random.js";
import { runAgent } from "./main.js";
import type { RunningAgentProgram } from "./main.js";

export type ServiceRequest = {
  readonly program: string;
  readonly file: string;
  readonly config: AgentConfig;
  /** Null: none. */
  readonly pidFile: string | null;
  readonly logger: Logger;
};

/**
 * Runs the agent until SIGTERM or SIGINT. SIGHUP reads the configuration again: what is valid is taken
 * without a break where that can be, else by a new start inside this process; any other is logged and
 * changes nothing.
 * @throws ClusterduckError when the agent cannot start.
 */
export async function runAgentService(request: ServiceRequest): Promise<void> {
  const { logger, file } = request;
  const stopping = new AbortController();
  let restart = new AbortController();
  let config = request.config;
  /** What to go back to when the new configuration turns out not to start. */
  let proven: AgentConfig | null = null;
  let running: RunningAgentProgram | null = null;
  const service = enterService({
    program: request.program,
    logger,
    pidFile: request.pidFile,
    onStop: () => stopping.abort(),
    onReload: async () => {
      const before = config;
      try {
        const next = readFileConfig(file).agent;
        // Files that are no longer named may be gone.
        if (isDeepStrictEqual(next.tls, before.tls)) await running?.reloadTls();
        config = next;
      } catch (error) {
        logger.error("config.reload_failed", { file, error });
        return;
      }
      const hasChanged = !isDeepStrictEqual(config, before);
      logger.info("config.reloaded", { file, hasChanged });
      if (!hasChanged) return;
      if (running?.reconfigure(config) === true) proven = config;
      else restart.abort();
    },
  });
  try {
    while (!stopping.signal.aborted) {
      restart = new AbortController();
      const attempted = config;
      try {
        await runAgent({
          config: attempted,
          clock: systemClock,
          random: systemRandom,
          logger,
          signal: AbortSignal.any([stopping.signal, restart.signal]),
          onStarted: (agent) => {
            running = agent;
            proven = attempted;
            void service.ready(`agent ${attempted.id}, ${attempted.coordinators.length} coordinators`);
          },
        });
      } catch (error) {
        if (proven === null || proven === attempted) throw error;
        logger.error("config.reload_failed", { file, error });
        config = proven;
      } finally {
        running = null;
      }
    }
  } finally {
    await service.close();
  }
}
