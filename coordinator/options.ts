import type { Clock } from "../common/clock.js";
import type { Logger } from "../common/logger.js";
import type { Random } from "../common/random.js";
import type { ConfigFile } from "./file-config.js";

/** What a coordinator is started with. */
export type CoordinatorOptions = {
  readonly file: ConfigFile;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The log or the state machine has failed: the process should end. */
  readonly onFailure: (error: unknown) => void;
  /** Gives up waiting for the other founders of a tier. */
  readonly signal?: AbortSignal;
  /** It waits for the other founders: nothing works until they come. */
  readonly onWaiting?: () => void;
};
