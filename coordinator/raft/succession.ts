import { findMember } from "./membership.js";
import type { Replication } from "./replication.js";
import type { TransferResult } from "./results.js";
import type { Self } from "./self.js";

type Transfer = { readonly to: string; ageTicks: number; isTold: boolean };

/**
 * Hands leadership to a voter (dissertation, section 3.10). Ends with the leadership, so that an
 * interrupted transfer leaves nothing behind.
 */
export class Succession {
  readonly #self: Self;
  readonly #replication: Replication;
  #transfer: Transfer | null = null;

  constructor(self: Self, replication: Replication) {
    this.#self = self;
    this.#replication = replication;
  }

  /** Null unless leadership is being handed over; meanwhile nothing is added to what the successor must have. */
  get successor(): string | null {
    return this.#transfer?.to ?? null;
  }

  /** Without `to`: to whoever lacks least. */
  begin(to: string | undefined): TransferResult {
    const { id, membership } = this.#self;
    if (to === id) return { isAccepted: false, reason: "alreadyLeader" };
    const successor = to ?? this.#bestSuccessor;
    if (successor === null) return { isAccepted: false, reason: "notInContact" };
    if (findMember(membership, successor)?.role !== "voter") return { isAccepted: false, reason: "notVoter" };
    if (!this.#replication.isInContact(successor)) return { isAccepted: false, reason: "notInContact" };
    if (this.#transfer?.to !== successor) this.#transfer = { to: successor, ageTicks: 0, isTold: false };
    this.advance();
    return { isAccepted: true, to: successor };
  }

  /** After an election timeout the successor may be gone, and proposals must not wait for it for ever. */
  tick(): void {
    if (this.#transfer === null) return;
    this.#transfer.ageTicks++;
    if (this.#transfer.ageTicks >= this.#self.config.electionTicks) this.#transfer = null;
  }

  /** Tells the successor once it has everything. */
  advance(): void {
    const transfer = this.#transfer;
    if (transfer === null || transfer.isTold) return;
    if (this.#matchOf(transfer.to) < this.#self.log.last.index) return;
    transfer.isTold = true;
    this.#self.send(transfer.to, { kind: "timeoutNow" });
  }

  /** Asks somebody to follow at once, for this leader goes in any case. */
  bequeath(): void {
    const successor = this.#bestSuccessor;
    if (successor !== null) this.#self.send(successor, { kind: "timeoutNow" });
  }

  /** Among equals the first. */
  get #bestSuccessor(): string | null {
    const { id, voters } = this.#self;
    const candidates = voters.filter((voter) => voter !== id && this.#replication.isInContact(voter));
    return candidates.reduce<string | null>(
      (best, voter) => (best === null || this.#matchOf(voter) > this.#matchOf(best) ? voter : best),
      null,
    );
  }

  #matchOf(peer: string): number {
    return this.#replication.peers.get(peer)?.match ?? 0;
  }
}
