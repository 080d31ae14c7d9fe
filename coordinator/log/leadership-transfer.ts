import { ClusterduckError } from "../../common/errors.js";
import type { RaftCore } from "../raft/core.js";
import { describeTransferRefusal } from "./refusal-words.js";
import type { RaftRunner } from "./runner.js";

type LeadershipTransferParts = {
  readonly core: RaftCore;
  readonly runner: RaftRunner;
  /** Election timeout, milliseconds. */
  readonly electionMs: number;
  /** @throws ClusterduckError when the log has stopped. */
  readonly refuseWhenStopped: (action: string) => void;
};

/** A leader that goes hands over, so that the others need not miss it first (dissertation, section 3.10). */
export class LeadershipTransfer {
  readonly #parts: LeadershipTransferParts;

  constructor(parts: LeadershipTransferParts) {
    this.#parts = parts;
  }

  /** As `ReplicatedLog.transferLeadership`. */
  async transfer(to: string | null): Promise<void> {
    const { core, electionMs, refuseWhenStopped } = this.#parts;
    const action = "Cannot hand leadership over";
    refuseWhenStopped(action);
    const result = core.transferLeadership(to ?? undefined);
    if (!result.isAccepted) throw describeTransferRefusal(action, result.reason, to, core.leaderId);
    // The core itself gives up after one election timeout.
    const isDone = await this.#untilAnotherLeads(electionMs * 2);
    refuseWhenStopped(action);
    if (isDone) return;
    throw new ClusterduckError("CONFLICT", `${action}: "${result.to}" did not take it in time`, {
      hint: "Ask again, or name another member",
    });
  }

  /** For a member that goes in any case. */
  async leave(): Promise<void> {
    const { core, electionMs } = this.#parts;
    if (core.role === "leader" && core.transferLeadership().isAccepted) {
      await this.#untilAnotherLeads(electionMs);
    }
  }

  #untilAnotherLeads(timeoutMs: number): Promise<boolean> {
    const { core, runner } = this.#parts;
    runner.wake();
    return runner.until(() => core.role !== "leader" && core.leaderId !== null, timeoutMs);
  }
}
