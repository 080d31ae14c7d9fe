import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { RaftCore } from "../raft/core.js";
import type { MembershipChange, MembershipRefusal } from "../raft/membership.js";
import { outcomeUnknown } from "./log-errors.js";
import { describeMembershipRefusal } from "./refusal-words.js";
import type { LogPosition } from "./replicated-log.js";
import type { RaftRunner } from "./runner.js";

/** Why the members cannot change for a moment: who wants it to waits until they can. */
const PASSING: ReadonlySet<MembershipRefusal> = new Set([
  "transferring",
  "termNotCommitted",
  "changeInProgress",
]);

type MembershipChangesParts = {
  readonly core: RaftCore;
  readonly runner: RaftRunner;
  readonly clock: Clock;
  /** How long a change may wait for its turn, and then for a majority, milliseconds. */
  readonly timeoutMs: number;
  /** @throws ClusterduckError when the log has stopped. */
  readonly refuseWhenStopped: (action: string) => void;
};

/** Changes of the members by one step each, as raft allows them: one at a time, each committed before the next. */
export class MembershipChanges {
  readonly #parts: MembershipChangesParts;

  constructor(parts: MembershipChangesParts) {
    this.#parts = parts;
  }

  /** As `ReplicatedLog.changeMembership`. */
  async change(change: MembershipChange): Promise<void> {
    const { core, runner, timeoutMs, refuseWhenStopped } = this.#parts;
    const action = `Cannot ${change.kind} coordinator "${change.id}"`;
    refuseWhenStopped(action);
    const { index, term } = await this.#take(action, change);
    runner.wake();
    const isDecided = await runner.until(() => core.commit >= index, timeoutMs);
    refuseWhenStopped(action);
    if (!isDecided) throw outcomeUnknown(action, "no majority has it on its disk yet");
    if (core.termAt(index) !== term && core.termAt(index) !== null) {
      throw new ClusterduckError("NOT_LEADER", `${action}: another member has taken over; nothing happened`);
    }
  }

  /**
   * Changes that come together follow each other.
   * @throws ClusterduckError as `change`, when nothing of it has happened.
   */
  async #take(action: string, change: MembershipChange): Promise<LogPosition> {
    const { core, runner, clock, timeoutMs, refuseWhenStopped } = this.#parts;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      const result = core.proposeMembership(change);
      if (result.isAccepted) return result.position;
      const leftMs = deadlineMs - clock.monotonicMs();
      if (!PASSING.has(result.reason) || leftMs <= 0)
        throw describeMembershipRefusal(action, result.reason, core.leaderId);
      await runner.until(() => this.#mayChange, leftMs);
      refuseWhenStopped(action);
    }
  }

  /** Whether nothing `PASSING` stands in the way of another change. */
  get #mayChange(): boolean {
    const { core } = this.#parts;
    const { membershipIndex, commit, transferringTo } = core.status();
    const isSettled = core.termAt(commit) === core.term && membershipIndex <= commit;
    return core.role !== "leader" || (isSettled && transferringTo === null);
  }
}
