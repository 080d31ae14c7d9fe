import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/logger.js";
import type { MessageOf } from "../raft/message.js";
import type { LogStorage } from "./storage/log-storage.js";
import type { PeerTransport } from "./transport/peer-transport.js";

/**
 * A snapshot of ours that cannot be read is read again after this long, and twice as long each time after, up to
 * the second: reading and checking all of it is work, and only a newer one will help. Milliseconds.
 */
const UNREADABLE_MIN_MS = 1_000;
const UNREADABLE_MAX_MS = 60_000;

type SnapshotSendingParts = {
  readonly storage: LogStorage;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the wait for a readable snapshot. */
  readonly signal: AbortSignal;
};

/** Brings peers that lag behind the log up to the newest snapshot. */
export class SnapshotSending {
  readonly #parts: SnapshotSendingParts;
  #unreadableMs = UNREADABLE_MIN_MS;

  constructor(parts: SnapshotSendingParts) {
    this.#parts = parts;
  }

  /**
   * Sends the newest snapshot there is, which may be later than the one that the core knows of. Resolves with
   * whether the peer has it on its disk; where ours cannot be read, with false after a while, since the core
   * asks again at once. Never rejects: only a restart would need that snapshot.
   */
  async send(message: MessageOf<"installSnapshot">): Promise<boolean> {
    const { storage, transport, clock, logger, signal } = this.#parts;
    try {
      const snapshot = await storage.loadSnapshot();
      this.#unreadableMs = UNREADABLE_MIN_MS;
      if (snapshot === null) return false;
      const { last, data, membership } = snapshot;
      logger.info("raft.snapshot_sending", { to: message.to, index: last.index, bytes: data.length });
      const isInstalled = await transport.sendSnapshot({ ...message, last, membership }, data);
      logger.info("raft.snapshot_sent", { to: message.to, index: last.index, isInstalled });
      return isInstalled;
    } catch (error) {
      const againMs = this.#unreadableMs;
      this.#unreadableMs = Math.min(UNREADABLE_MAX_MS, againMs * 2);
      logger.error("raft.snapshot_unreadable", { to: message.to, error, againMs });
      await clock.sleep(againMs, signal);
      return false;
    }
  }
}
