import { tally } from "./quorum.js";
import type { Tally } from "./quorum.js";

/**
 * One campaign: in `preVote` a member asks whether it could win, in `vote` it asks for votes (Raft paper,
 * section 5.2; dissertation, section 9.6). Ends with the role, and so cannot outlive its term.
 */
export class Election {
  readonly phase: "preVote" | "vote";
  /** The leader itself asked for it. */
  readonly isTransfer: boolean;
  readonly #voters: readonly string[];
  readonly #votes = new Map<string, boolean>();

  constructor(phase: "preVote" | "vote", voters: readonly string[], isTransfer = false) {
    this.phase = phase;
    this.isTransfer = isTransfer;
    this.#voters = voters;
  }

  /** A voter's first answer counts. */
  record(voter: string, isGranted: boolean): Tally {
    if (!this.#votes.has(voter)) this.#votes.set(voter, isGranted);
    return tally(this.#voters, this.#votes);
  }

  /** Who has not answered. */
  get silent(): readonly string[] {
    return this.#voters.filter((voter) => !this.#votes.has(voter));
  }

  /** By voter, sorted; for those who look from outside. */
  get votes(): readonly { readonly voter: string; readonly isGranted: boolean }[] {
    return this.#voters.flatMap((voter) => {
      const isGranted = this.#votes.get(voter);
      return isGranted === undefined ? [] : [{ voter, isGranted }];
    });
  }
}
