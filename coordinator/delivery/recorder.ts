import { messageOf } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import type { Replica } from "../replica.js";
import type { DeliveryRecord } from "../state/model.js";
import type { LedgerLine } from "./ledger.js";

type Recorded = Omit<DeliveryRecord, "atMs">;

/**
 * Commits how deliveries end, so that a new leader and `explain` know. One proposal at a time per proxy:
 * what changes meanwhile is joined, because only the newest matters.
 */
export class DeliveryRecorder {
  readonly #options: {
    readonly replica: Replica;
    readonly log: Pick<ReplicatedLog, "leadership">;
    readonly logger: Logger;
  };
  readonly #next = new Map<string, Recorded>();
  readonly #running = new Map<string, Promise<void>>();
  #isClosed = false;

  constructor(options: { replica: Replica; log: Pick<ReplicatedLog, "leadership">; logger: Logger }) {
    this.#options = options;
  }

  record(balancer: string, line: LedgerLine): void {
    const { target, wantedGeneration, appliedGeneration, error } = line;
    const key = `${balancer}@${target}`;
    this.#next.set(key, { balancer, target, wantedGeneration, appliedGeneration, error });
    if (this.#running.has(key)) return;
    const work = this.#drain(key).finally(() => this.#running.delete(key));
    this.#running.set(key, work);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#running.values());
  }

  async #drain(key: string): Promise<void> {
    const { replica, log, logger } = this.#options;
    for (let next = this.#next.get(key); next !== undefined; next = this.#next.get(key)) {
      this.#next.delete(key);
      // Only the leader speaks for the tier; a follower's local proxy is in its log file.
      if (this.#isClosed || !log.leadership().isLeader) return;
      if (isSame(replica.state.deliveries.get(key), next)) continue;
      try {
        await replica.propose({ type: "recordDelivery", delivery: next }, "leader");
      } catch (thrown) {
        // The ledger in memory is right all the same; the next change records itself.
        logger.debug("delivery.not_recorded", { target: key, error: messageOf(thrown) });
      }
    }
  }
}

function isSame(known: DeliveryRecord | undefined, next: Recorded): boolean {
  return (
    known !== undefined &&
    known.wantedGeneration === next.wantedGeneration &&
    known.appliedGeneration === next.appliedGeneration &&
    known.error === next.error
  );
}
