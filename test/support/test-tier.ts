import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { systemClock } from "../../common/clock.js";
import { parseConfigText } from "../../common/config/load.js";
import { createLogger } from "../../common/logger.js";
import { systemRandom } from "../../common/random.js";
import { startCoordinator } from "../../coordinator/coordinator.js";
import type { RunningCoordinator } from "../../coordinator/coordinator.js";
import type { CoordinatorOptions } from "../../coordinator/options.js";
import { startEmbedded } from "../../coordinator/dev/embedded.js";
import { runDuckctl } from "./duckctl.js";
import type { CliResult } from "./duckctl.js";

export { runDuckctl };

/** A coordinator in this process, on free ports and a folder of its own, and a duckctl that asks it. */
export type TestTier = {
  readonly coordinator: RunningCoordinator;
  readonly folder: string;
  readonly duckctl: (...args: readonly string[]) => Promise<CliResult>;
  /** Asks until `isDone` accepts the answer. @throws Error with the last answer after a minute. */
  readonly eventually: (
    args: readonly string[],
    isDone: (result: CliResult) => boolean,
  ) => Promise<CliResult>;
  /** Ends the coordinator and starts another one on the same folder and gRPC address. */
  readonly restart: (yaml?: string) => Promise<void>;
  readonly stop: () => Promise<void>;
};

type TierOptions = {
  /** The `clusters:` part; `FOLDER` stands for the tier's own folder. */
  readonly yaml: string;
  readonly withAgent?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
};

/** A busy machine makes observers doubt themselves and abstain: nothing is decided until it is over. */
const DEADLINE_MS = 60_000;

export async function startTestTier(options: TierOptions): Promise<TestTier> {
  const folder = mkdtempSync(join(tmpdir(), "clusterduck-tier-"));
  let coordinator = await start(options, folder, options.yaml, "127.0.0.1:0");
  const duckctl = (...args: readonly string[]): Promise<CliResult> =>
    runDuckctl(args, { env: { DUCK_SERVER: coordinator.grpcAddress } });
  return {
    get coordinator() {
      return coordinator;
    },
    folder,
    duckctl,
    eventually: async (args, isDone) => {
      const deadlineMs = performance.now() + DEADLINE_MS;
      for (;;) {
        const result = await duckctl(...args);
        if (isDone(result)) return result;
        if (performance.now() > deadlineMs) {
          throw new Error(`duckctl ${args.join(" ")} never said what was awaited: ${JSON.stringify(result)}`);
        }
        await systemClock.sleep(20);
      }
    },
    restart: async (yaml = options.yaml) => {
      const address = coordinator.grpcAddress;
      await coordinator.stop();
      coordinator = await start(options, folder, yaml, address);
    },
    stop: async () => {
      await coordinator.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

function start(
  options: TierOptions,
  folder: string,
  yaml: string,
  listen: string,
): Promise<RunningCoordinator> {
  const text = `${yaml.replaceAll("FOLDER", folder)}
coordinator: {id: c1, data_dir: ${folder}/coordinator, listen: "${listen}", http: "127.0.0.1:0"}
agent: {id: a1, state_dir: ${folder}/agent}
`;
  const env = options.env ?? { PATH: process.env["PATH"] };
  const wanted: CoordinatorOptions = {
    file: { text, config: parseConfigText(text, join(folder, "clusterduck.yaml"), env) },
    clock: systemClock,
    random: systemRandom,
    logger: createLogger({ program: "test", level: "error" }),
    env,
    onFailure: (error) => {
      throw error;
    },
  };
  return options.withAgent === true ? startEmbedded(wanted) : startCoordinator(wanted);
}
