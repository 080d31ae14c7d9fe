import { join } from "node:path";
import { readFile } from "node:fs/promises";
import writeFileAtomic from "write-file-atomic";
import type { Clock } from "../../common/clock.js";
import { messageOf } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import { fileHashOf, takeFileConfig } from "../file-config.js";
import type { ConfigFile } from "../file-config.js";
import type { Replica } from "../replica.js";

export type ConfigKeeperOptions = {
  readonly directory: string;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

const NAME = "config-seen.json";
const RETRY_MS = 1_000;

/**
 * A tier has one configuration, and each of its coordinators a file. A file counts when it was edited: one
 * that is merely older than the others' must not bring old nodes back at its coordinator's next restart. So
 * each coordinator remembers what its own file said last.
 */
export class ConfigKeeper {
  readonly #options: ConfigKeeperOptions;

  constructor(options: ConfigKeeperOptions) {
    this.#options = options;
  }

  /** At a start: waits until the tier answers, as long as it takes. Never rejects. */
  async begin(file: ConfigFile): Promise<void> {
    const { clock, logger, signal } = this.#options;
    let trouble = "";
    while (!signal.aborted) {
      try {
        await this.take(file);
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        const message = messageOf(thrown);
        if (message !== trouble) logger.warn("config.not_taken", { message });
        trouble = message;
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }

  /**
   * @returns Whether the tier's configuration has changed.
   * @throws ClusterduckError as `takeFileConfig`, and while nobody leads.
   */
  async take(file: ConfigFile): Promise<boolean> {
    const { replica, logger } = this.#options;
    await replica.readBarrier();
    const hash = fileHashOf(file);
    const { config } = replica.state;
    const seen = await this.#seen();
    const isFirst = config.revision === 0;
    const isEdited = seen !== null && seen !== hash;
    let hasChanged = false;
    if (isFirst || isEdited) {
      hasChanged = await takeFileConfig(replica, file, isFirst ? 0 : null);
    } else if (seen === null && config.fileHash !== hash && config.source === "file") {
      const message =
        "This coordinator's file differs from the tier's configuration, which stays: edit the file to change it";
      logger.warn("config.file_differs", { message });
    }
    if (seen !== hash) await this.#see(hash);
    return hasChanged;
  }

  async #seen(): Promise<string | null> {
    try {
      const text = await readFile(join(this.#options.directory, NAME), "utf8");
      const { hash } = JSON.parse(text) as { readonly hash?: unknown };
      return typeof hash === "string" ? hash : null;
    } catch {
      // Not there, or half a file: as if it had never been seen, which changes nothing.
      return null;
    }
  }

  async #see(hash: string): Promise<void> {
    await writeFileAtomic(join(this.#options.directory, NAME), `${JSON.stringify({ hash })}\n`, {
      mode: 0o600,
    });
  }
}
