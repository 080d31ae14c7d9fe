import type { RequestId } from "./message.js";

/** A read that waits for the leader to make sure that it still leads. `from`: the member that asked. */
export type Read = { readonly from: string; readonly request: RequestId };

type Asked = { readonly round: number; readonly index: number; readonly reads: readonly Read[] };

/**
 * Linearizable reads without log entries: note the commit index, then learn from a quorum that no later
 * leader can have committed more. Reads that come while a round of heartbeats is out share the next one.
 * Source: dissertation, section 6.4.
 */
export class ReadQueue {
  #waiting: Read[] = [];
  #asked: Asked[] = [];
  #round = 0;

  /** Number of the newest round; heartbeats carry it. */
  get round(): number {
    return this.#round;
  }

  /** Whether a round is out. */
  get isAsking(): boolean {
    return this.#asked.length > 0;
  }

  /** Whether a round should begin now. While one is out, the next heartbeat is early enough. */
  get isRoundDue(): boolean {
    return this.#waiting.length > 0 && !this.isAsking;
  }

  add(read: Read): void {
    this.#waiting.push(read);
  }

  /** All who wait will read as of `commit`. The round has to be told to the peers then. */
  begin(commit: number): void {
    if (this.#waiting.length === 0) return;
    this.#asked.push({ round: ++this.#round, index: commit, reads: this.#waiting });
    this.#waiting = [];
  }

  /** Takes what a quorum has confirmed, having answered this round or a later one. */
  confirm(
    isConfirmed: (round: number) => boolean,
  ): readonly { readonly read: Read; readonly index: number }[] {
    // Who answered a round has answered those before.
    const open = this.#asked.findIndex(({ round }) => !isConfirmed(round));
    const confirmed = this.#asked.splice(0, open === -1 ? this.#asked.length : open);
    return confirmed.flatMap(({ index, reads }) => reads.map((read) => ({ read, index })));
  }

  /** Takes everything: the leader steps down. */
  abandon(): readonly Read[] {
    const reads = [...this.#asked.flatMap((asked) => asked.reads), ...this.#waiting];
    this.#asked = [];
    this.#waiting = [];
    return reads;
  }
}
