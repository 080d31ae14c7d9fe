import type { RedisConnection } from "./connection.js";

type Slot = {
  readonly connection: RedisConnection;
  /** Runs that wait for replies of it, given up or not. */
  users: number;
  /** A run's time was over before its reply came: the connection may be dead without knowing. */
  isAbandoned: boolean;
};

/** A connection lent to one run. */
export type Lease = {
  readonly connection: RedisConnection;
  /** It served earlier runs, so it may have been closed behind our back. */
  readonly isReused: boolean;
  /** The replies came, or never will. */
  readonly release: () => void;
  /** The run is over, but replies are still due. */
  readonly abandon: () => void;
};

/** One for the usual run, and one to look again with while a reply is overdue. */
const MAX_CONNECTIONS = 2;

/** The persistent connections of one check. */
export class ConnectionPool {
  readonly #make: () => RedisConnection;
  #slots: Slot[] = [];

  constructor(make: () => RedisConnection) {
    this.#make = make;
  }

  /**
   * An idle connection; or a standby one; or, when both are busy, one in place of the connection that a
   * run gave up on. A late reply makes its connection idle again.
   */
  lend(): Lease {
    // The usual case, thousands of times a second: one connection, and it is idle.
    const first = this.#slots[0];
    if (first !== undefined && isIdle(first)) return this.#leaseOf(first, true);
    this.#slots = this.#slots.filter((slot) => !slot.connection.isEnded);
    const idle = this.#slots.find(isIdle);
    if (idle !== undefined) return this.#leaseOf(idle, true);
    if (this.#slots.length >= MAX_CONNECTIONS) {
      const abandoned = this.#slots.find((slot) => slot.isAbandoned || slot.users === 0);
      // All are in use within their time: this run's commands wait behind the others'.
      if (abandoned === undefined) return this.#leaseOf(this.#slots[this.#slots.length - 1] as Slot, true);
      abandoned.connection.destroy();
      this.#slots = this.#slots.filter((slot) => slot !== abandoned);
    }
    const slot: Slot = { connection: this.#make(), users: 0, isAbandoned: false };
    this.#slots.push(slot);
    return this.#leaseOf(slot, false);
  }

  close(): void {
    for (const { connection } of this.#slots) connection.destroy();
    this.#slots = [];
  }

  #leaseOf(slot: Slot, isReused: boolean): Lease {
    slot.users++;
    return {
      connection: slot.connection,
      isReused: isReused && slot.connection.isOpen,
      release: () => {
        slot.users--;
        if (slot.users === 0) slot.isAbandoned = false;
      },
      abandon: () => {
        slot.isAbandoned = true;
      },
    };
  }
}

function isIdle({ connection, users }: Slot): boolean {
  return users === 0 && connection.pending === 0 && !connection.isEnded;
}
