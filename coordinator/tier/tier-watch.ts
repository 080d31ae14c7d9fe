import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import { describeMissing, describeNoLeader, healthOf, MISSING_AFTER_MS, quorumOf } from "./tier-health.js";
import type { MemberHealth } from "./tier-health.js";

export type TierWatchOptions = {
  readonly id: string;
  readonly log: Pick<ReplicatedLog, "leadership" | "onLeadership" | "status">;
  readonly clock: Clock;
  readonly logger: Logger;
};

const LOOK_EVERY_MS = 500;

/** Keeps an eye on the other coordinators: who is missing since when, and whether anybody leads. */
export class TierWatch {
  readonly #options: TierWatchOptions;
  readonly #unsubscribe: () => void;
  #cancel: () => void;
  /** Monotonic milliseconds at which the present leadership, or the lack of it, began. */
  #sinceMs: number;
  #leaderId: string | null;
  #isLossTold = false;
  #missing: ReadonlySet<string> = new Set();
  /** By member, what was seen at the look before, and whether it was told. */
  #problems: ReadonlyMap<string, { readonly message: string; readonly isTold: boolean }> = new Map();

  constructor(options: TierWatchOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.monotonicMs();
    this.#leaderId = options.log.leadership().leaderId;
    this.#unsubscribe = options.log.onLeadership(() => this.#follow());
    this.#cancel = options.clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  /** All members, sorted by id. */
  members(): readonly MemberHealth[] {
    const { id, log } = this.#options;
    const [leadership, { peers }] = [log.leadership(), log.status()];
    return healthOf({ selfId: id, leadership, peers, sinceMs: this.leadershipMs() });
  }

  /** For how long the present leader leads, or nobody does, milliseconds. */
  leadershipMs(): number {
    return this.#options.clock.monotonicMs() - this.#sinceMs;
  }

  /** Those that are missing, in words; empty: none that this coordinator knows of. */
  missingWords(): string {
    return describeMissing(this.members(), this.#options.clock.wallMs());
  }

  noLeaderWords(): { readonly message: string; readonly hint: string } {
    const { id, log, clock } = this.#options;
    const { term } = log.leadership();
    return describeNoLeader(this.members(), { term, selfId: id, nowMs: clock.wallMs() });
  }

  noLeader(): ClusterduckError {
    const { message, hint } = this.noLeaderWords();
    const { answering, needed } = quorumOf(this.members());
    // With a majority there, asking again helps by itself.
    return new ClusterduckError(answering >= needed ? "NOT_LEADER" : "UNREACHABLE", message, { hint });
  }

  close(): void {
    this.#unsubscribe();
    this.#cancel();
  }

  #follow(): void {
    const { leaderId, term, isLeader } = this.#options.log.leadership();
    if (leaderId === this.#leaderId) return;
    this.#leaderId = leaderId;
    this.#sinceMs = this.#options.clock.monotonicMs();
    if (leaderId === null) return;
    this.#isLossTold = false;
    this.#options.logger.info("tier.leader", { leader: leaderId, term, is_self: isLeader });
  }

  #look(): void {
    const { clock, logger } = this.#options;
    this.#cancel = clock.after(LOOK_EVERY_MS, () => this.#look());
    const members = this.members();
    this.#tellMissing(members);
    this.#tellProblems(members);
    const isLost = this.#leaderId === null && this.leadershipMs() > MISSING_AFTER_MS;
    if (!isLost || this.#isLossTold) return;
    this.#isLossTold = true;
    const { answering, voters, needed } = quorumOf(members);
    const { message, hint } = this.noLeaderWords();
    const consequence = "Nothing is decided and no change is taken until then; proxies stay as they are";
    logger.error("tier.no_leader", {
      message: `${message}. ${consequence}`,
      hint,
      answering,
      voters,
      needed,
    });
  }

  /** Once each, as long as it lasts; not before a second look, for one message alone may be an old one. */
  #tellProblems(members: readonly MemberHealth[]): void {
    const seen = new Map<string, { readonly message: string; readonly isTold: boolean }>();
    for (const { id, problem } of members) {
      if (problem === undefined) continue;
      const { message } = problem;
      const before = this.#problems.get(id);
      const isTold = before?.message === message;
      if (isTold && !before.isTold)
        this.#options.logger.warn("tier.member_problem", { coordinator: id, ...problem });
      seen.set(id, { message, isTold });
    }
    this.#problems = seen;
  }

  #tellMissing(members: readonly MemberHealth[]): void {
    const { logger } = this.#options;
    const known = members.filter(({ state }) => state !== "unknown");
    const missing = new Set(known.filter(({ state }) => state === "missing").map(({ id }) => id));
    for (const { id, address } of known) {
      if (missing.has(id) && !this.#missing.has(id))
        logger.warn("tier.member_missing", { coordinator: id, address });
      if (!missing.has(id) && this.#missing.has(id)) logger.info("tier.member_back", { coordinator: id });
    }
    // Whoever this coordinator does not hear from any more is not back for that.
    const unseen = members.filter(({ id, state }) => state === "unknown" && this.#missing.has(id));
    this.#missing = new Set([...missing, ...unseen.map(({ id }) => id)]);
  }
}
