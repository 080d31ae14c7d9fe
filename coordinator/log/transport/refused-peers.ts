import type { Clock } from "../../../common/clock.js";
import type { Logger } from "../../../common/logger.js";
import type { OtherIncarnation } from "./admission.js";

/** Members try again every second at least; whoever has not for this long has gone. Milliseconds. */
const GONE_MS = 10_000;

/** Those that call this member and belong to another incarnation of its tier: told once, and shown while they go on. */
export class RefusedPeers {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #refused = new Map<string, { readonly problem: string; readonly atMs: number }>();

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = clock;
    this.#logger = logger;
  }

  note({ from, message, hint = "" }: OtherIncarnation): void {
    const problem = `${message}. ${hint}`;
    if (this.problems().get(from) !== problem)
      this.#logger.warn("raft.peer_refused", { peer: from, problem });
    this.#refused.set(from, { problem, atMs: this.#clock.monotonicMs() });
  }

  /** By member, why it is refused, and what to do. */
  problems(): ReadonlyMap<string, string> {
    const nowMs = this.#clock.monotonicMs();
    for (const [from, { atMs }] of this.#refused) if (nowMs - atMs > GONE_MS) this.#refused.delete(from);
    return new Map([...this.#refused].map(([from, { problem }]) => [from, problem]));
  }
}
