import type { Clock } from "../../common/clock.js";
import type { RaftCore } from "../raft/core.js";

/** When this member last heard of whom: for people, who see by it which member or which link is gone. */
export class Contact {
  readonly #core: RaftCore;
  readonly #clock: Clock;
  /** Key: id of the peer. */
  readonly #heardAtMs = new Map<string, number>();
  #leaderSeenAtMs: number;

  constructor(core: RaftCore, clock: Clock) {
    this.#core = core;
    this.#clock = clock;
    this.#leaderSeenAtMs = clock.monotonicMs();
  }

  onHeard(peer: string): void {
    this.#heardAtMs.set(peer, this.#clock.monotonicMs());
  }

  /** A leader is known. */
  onLeaderSeen(): void {
    this.#leaderSeenAtMs = this.#clock.monotonicMs();
  }

  /** Milliseconds since a peer was heard; null: never since the start. */
  silentMs(peer: string): number | null {
    const heardAtMs = this.#heardAtMs.get(peer);
    return heardAtMs === undefined ? null : this.#clock.monotonicMs() - heardAtMs;
  }

  /** Milliseconds since a leader was known; 0 while one is. */
  get leaderlessMs(): number {
    return this.#core.leaderId === null ? this.#clock.monotonicMs() - this.#leaderSeenAtMs : 0;
  }
}
