import type { RequestId } from "./message.js";

/** A read that waits for the leader to make sure that it still leads. `from`: the member that asked. */
export type Read = { readonly from: string; readonly request: RequestId };

type Round = { readonly index: number; readonly reads: readonly Read[] };

/**
 * Linearizable reads without log entries: note the commit index, then learn from a quorum that no later
 * leader can have committed more. Reads that come while a round of heartbeats is out share the next one.
 * Source: dissertation, section 6.4.
 */
export class ReadQueue {
  #waiting: Read[] = [];
  /** Null while none is out. */
  #asked: Round | null = null;
  #round = 0;

  /** Number of the newest round; heartbeats carry it. */
  get round(): number {
    return this.#round;
  }

  /** Whether a round should begin now. While one is out, its end is early enough. */
  get isRoundDue(): boolean {
    return this.#waiting.length > 0 && this.#asked === null;
  }

  add(read: Read): void {
    this.#waiting.push(read);
  }

  /** All who wait will read as of `commit`. The round has to be told to the peers then. */
  begin(commit: number): void {
    this.#round++;
    this.#asked = { index: commit, reads: this.#waiting };
    this.#waiting = [];
  }

  /** Ends the round: a quorum has answered it. */
  confirm(): readonly { readonly read: Read; readonly index: number }[] {
    if (this.#asked === null) return [];
    const { index, reads } = this.#asked;
    this.#asked = null;
    return reads.map((read) => ({ read, index }));
  }

  /** Takes everything: the leader steps down. */
  abandon(): readonly Read[] {
    const reads = [...(this.#asked?.reads ?? []), ...this.#waiting];
    this.#asked = null;
    this.#waiting = [];
    return reads;
  }
}
