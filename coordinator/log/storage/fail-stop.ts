import { ClusterduckError, messageOf } from "../../../common/errors.js";
import type { Logger } from "../../../common/logger.js";
import { isDiskFull } from "./disk.js";

/**
 * After a failed write or sync nobody knows what is on the disk, and the kernel may forget what it could not write:
 * another attempt would seem to succeed. So the first failure is the last write.
 */
export class FailStop {
  readonly #directory: string;
  readonly #logger: Logger;
  #failure: ClusterduckError | null = null;

  constructor(directory: string, logger: Logger) {
    this.#directory = directory;
    this.#logger = logger;
  }

  get failure(): ClusterduckError | null {
    return this.#failure;
  }

  /** From now on nothing may be written. Returns what is to be thrown. */
  fail(thrown: unknown): ClusterduckError {
    const failure = new ClusterduckError("DISK_FAILED", messageOf(thrown), {
      cause: thrown,
      hint: "Mend the disk or free space on it, then start again: nothing that was acknowledged is lost",
    });
    this.#failure ??= failure;
    this.#logger.error("log.failed", { directory: this.#directory, error: failure });
    return failure;
  }

  /** As `fail`, but a full disk is no failure where it has left everything as it was: that is thrown as it is. */
  failUnlessFull(thrown: unknown): unknown {
    return isDiskFull(thrown) ? thrown : this.fail(thrown);
  }

  /** @throws ClusterduckError DISK_FAILED after a failure. */
  refuseAfterFailure(): void {
    const failure = this.#failure;
    if (failure === null) return;
    const message = `Cannot write to the log after an earlier failure: ${failure.message}`;
    throw new ClusterduckError("DISK_FAILED", message, {
      cause: failure,
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    });
  }
}
