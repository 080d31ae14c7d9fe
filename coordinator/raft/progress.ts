import { Inflights } from "./inflights.js";
import type { InflightLimits } from "./inflights.js";

/**
 * `probe`: where the peer's log agrees is not known, so one append at a time asks. `replicate`: it agrees,
 * and appends follow each other without waiting. `snapshot`: it needs entries that we no longer have.
 */
export type ProgressState = "probe" | "replicate" | "snapshot";

/** What a leader knows of one peer's log, and what it may send it. */
export class Progress {
  readonly #inflights: Inflights;
  #state: ProgressState = "probe";
  #match = 0;
  #next: number;
  /** In `probe`: an append is on its way; the next heartbeat's answer, at the latest, allows another. */
  #isAsking = false;
  /** In `replicate`: the peer lacks something; an append finds out whether that was lost or is on its way. */
  #isCheckDue = false;
  #toldCommit = 0;
  #snapshotIndex = 0;
  #silentTicks = 0;
  #hasAnswered = false;
  #answeredRound = 0;
  #hasForgotten = false;

  /** `next` is the first entry to try: one after the leader's last. */
  constructor(next: number, limits: InflightLimits) {
    this.#next = next;
    this.#inflights = new Inflights(limits);
  }

  get state(): ProgressState {
    return this.#state;
  }

  /** The peer durably has our log up to here. Never goes back within a term. */
  get match(): number {
    return this.#match;
  }

  /** First entry of the next append. */
  get next(): number {
    return this.#next;
  }

  /** Ticks since the peer was last heard; it is given one election timeout to speak up. */
  get silentTicks(): number {
    return this.#silentTicks;
  }

  /** Whether it was heard at all in this term. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** The newest round of heartbeats that the peer has answered. */
  get answeredRound(): number {
    return this.#answeredRound;
  }

  /**
   * Whether the peer denies what it has acknowledged, as one does whose disk was wiped. It stays without
   * new entries; remove it and add it anew under another id.
   */
  get hasForgotten(): boolean {
    return this.#hasForgotten;
  }

  /** Commit index that it has been told. */
  get toldCommit(): number {
    return this.#toldCommit;
  }

  get inflightMessages(): number {
    return this.#inflights.count;
  }

  /** Whether entries may go with the next append; when not, an empty one still may. */
  get hasRoom(): boolean {
    return this.#state !== "replicate" || !this.#inflights.isFull;
  }

  /** Whether the next append is there to be answered, whatever it holds. */
  get isQuestion(): boolean {
    return this.#state !== "replicate" || this.#isCheckDue;
  }

  tick(): void {
    this.#silentTicks++;
  }

  heard(): void {
    this.#silentTicks = 0;
    this.#hasAnswered = true;
  }

  /** Whether to send an append now, where our log ends at `last` and is committed up to `commit`. */
  wantsAppend(last: number, commit: number): boolean {
    switch (this.#state) {
      case "probe":
        return !this.#isAsking;
      case "replicate":
        if (this.#isCheckDue) return true;
        return this.hasRoom && (this.#next <= last || this.#toldCommit < Math.min(commit, this.#next - 1));
      case "snapshot":
        return false;
    }
  }

  /** An append whose entries, `bytes` of them, end at `last`; without entries `last` is the one before `next`. */
  sentAppend(last: number, bytes: number, commit: number): void {
    if (this.#state === "probe") {
      this.#isAsking = true;
      return;
    }
    this.#isCheckDue = false;
    this.#toldCommit = Math.min(commit, last);
    if (last < this.#next) return;
    this.#next = last + 1;
    this.#inflights.add(last, bytes);
  }

  sentSnapshot(index: number): void {
    this.#become("snapshot");
    this.#snapshotIndex = index;
  }

  /** `base` is the index that the first entry we still have follows. */
  accepted(match: number, base: number): void {
    this.#hasForgotten = false;
    this.#match = Math.max(this.#match, match);
    this.#next = Math.max(this.#next, this.#match + 1);
    if (this.#state === "replicate") this.#inflights.freeUpTo(this.#match);
    else if (this.#state === "probe" || this.#match >= base) this.#become("replicate");
  }

  /**
   * The peer lacked the entry `rejected`; from `retry` on it may agree. Ignores what a message that was
   * overtaken says.
   */
  rejected(rejected: number, retry: number): void {
    if (this.#state === "snapshot") return;
    if (rejected <= this.#match) {
      this.#hasForgotten = this.#match > 0;
      return;
    }
    if (this.#state === "probe" && rejected !== this.#next - 1) return;
    this.#become("probe");
    this.#next = Math.max(this.#match + 1, Math.min(rejected, retry));
  }

  /** The peer has answered a heartbeat, knowing of `peerCommit`: what it lacks then was lost or is on its way. */
  answeredHeartbeat(round: number, peerCommit: number, last: number, commit: number): void {
    this.#answeredRound = Math.max(this.#answeredRound, round);
    this.#isAsking = false;
    this.#isCheckDue = this.#match < last || peerCommit < Math.min(commit, this.#match);
  }

  /** What is on its way may be lost. */
  unreachable(): void {
    if (this.#state !== "replicate") return;
    this.#become("probe");
    this.#next = this.#match + 1;
  }

  /** The runner has ended sending the snapshot. Whatever the peer made of it, a probe finds out. */
  snapshotEnded(isInstalled: boolean): void {
    if (this.#state !== "snapshot") return;
    const known = isInstalled ? Math.max(this.#match, this.#snapshotIndex) : this.#match;
    this.#become("probe");
    this.#next = known + 1;
    // Not before a heartbeat's answer shows that it is there: otherwise a failure would repeat at once.
    this.#isAsking = true;
  }

  #become(state: ProgressState): void {
    this.#state = state;
    this.#isAsking = false;
    this.#isCheckDue = false;
    this.#toldCommit = 0;
    this.#snapshotIndex = 0;
    this.#inflights.clear();
  }
}
