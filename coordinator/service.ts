import { resolve } from "node:path";

import { systemClock } from "../common/clock.js";
import { readConfigText } from "../common/config/load.js";
import { parseConfigAside } from "../common/config/parse-aside.js";
import { enterService } from "../common/daemon/service.js";
import type { Logger } from "../common/logger.js";
import { systemRandom } from "../common/random.js";
import type { RunningCoordinator } from "./coordinator.js";
import type { CoordinatorOptions } from "./options.js";
import type { ConfigFile } from "./file-config.js";
import { changedSettings, settingsOf } from "./restart-needed.js";
import type { ProcessSettings } from "./restart-needed.js";

export type ServiceRequest = {
  readonly program: string;
  /** Reads the configuration, again at every SIGHUP. @throws ClusterduckError CONFIG_INVALID, CONFIG_UNREADABLE. */
  readonly readFile: () => Promise<ConfigFile>;
  /** For `${VAR}` in configurations that come through the API, and for triggers. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Null: none. */
  readonly pidFile: string | null;
  readonly logger: Logger;
  /** A coordinator alone, or the embedded form. */
  readonly start: (options: CoordinatorOptions) => Promise<RunningCoordinator>;
  /** The embedded form: the file's agent section belongs to this process too. */
  readonly hasAgent: boolean;
  /** Called once it works. */
  readonly onStarted?: (coordinator: RunningCoordinator) => void;
};

/**
 * Runs a coordinator until SIGTERM or SIGINT. SIGHUP reads the configuration again: a valid one is committed,
 * any other is logged and changes nothing.
 * @throws ClusterduckError when it cannot start, or the error that its log or its state failed with.
 */
export async function runCoordinatorService(request: ServiceRequest): Promise<void> {
  const { logger } = request;
  const file = await request.readFile();
  const started = settingsOf(file.config, request.hasAgent);
  let coordinator: RunningCoordinator | null = null;
  let end: (failure: { readonly error: unknown } | null) => void = () => undefined;
  const ended = new Promise<{ readonly error: unknown } | null>((resolve) => {
    end = resolve;
  });
  const stopping = new AbortController();
  let reloading = Promise.resolve();
  const service = enterService({
    program: request.program,
    logger,
    pidFile: request.pidFile,
    onStop: () => {
      stopping.abort();
      end(null);
    },
    onReload: () => {
      // One after the other: what was read first is not taken last.
      reloading = reloading.then(() => reload(request, coordinator, started));
      return reloading;
    },
  });
  try {
    coordinator = await request.start({
      file,
      clock: systemClock,
      random: systemRandom,
      logger,
      env: request.env,
      onFailure: (error) => end({ error }),
      signal: stopping.signal,
      // Waiting is its work then: whoever starts three of them one after the other must get to the second.
      onWaiting: () => void service.ready("waits for the other coordinators of its tier"),
    });
    request.onStarted?.(coordinator);
    await service.ready(`coordinator ${coordinator.id} at ${coordinator.grpcAddress}`);
    const failure = await ended;
    await coordinator.stop();
    if (failure !== null) throw failure.error;
  } catch (thrown) {
    // Told to stop while it was waiting.
    if (coordinator === null && stopping.signal.aborted) return;
    throw thrown;
  } finally {
    await service.close();
  }
}

/** A file as `readFile` wants it. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const text = readConfigText(path);
  // Relative paths in it count from its own folder.
  return { text, config: await parseConfigAside(text, resolve(path), process.env) };
}

/** Never rejects. */
async function reload(
  request: ServiceRequest,
  coordinator: RunningCoordinator | null,
  started: ProcessSettings,
): Promise<void> {
  const { logger } = request;
  if (coordinator === null) return;
  try {
    const file = await request.readFile();
    const { hasChanged } = await coordinator.reload(file);
    logger.info("config.reloaded", { has_changed: hasChanged });
    const settings = changedSettings(started, settingsOf(file.config, request.hasAgent));
    if (settings.length > 0) {
      logger.warn("config.restart_needed", {
        settings,
        message: `${settings.join(", ")} changed in the file: ${request.program} takes that at its next start`,
      });
    }
  } catch (error) {
    coordinator.reloadFailed();
    logger.error("config.reload_failed", { error });
  }
}
