import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { MemberTrouble, ReplicatedLog } from "../log/replicated-log.js";
import {
  describeMissing,
  describeNoLeader,
  healthOf,
  isHeldUp,
  MISSING_AFTER_MS,
  quorumOf,
} from "./tier-health.js";
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
  /** Whether it was told, by member. */
  #missing: ReadonlyMap<string, boolean> = new Map();
  /** By member and what is wrong, what was seen at the look before, and whether it was told. */
  #problems: ReadonlyMap<string, boolean> = new Map();
  #heardTrouble: (id: string) => MemberTrouble | null = () => null;

  constructor(options: TierWatchOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.monotonicMs();
    this.#leaderId = options.log.leadership().leaderId;
    this.#unsubscribe = options.log.onLeadership(() => this.#follow());
    this.#cancel = options.clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  /** What members tell this one, while it leads, to be wrong with them comes from there. */
  hearTroubles(heard: (id: string) => MemberTrouble | null): void {
    this.#heardTrouble = heard;
  }

  /** All members, sorted by id. */
  members(): readonly MemberHealth[] {
    const { id, log } = this.#options;
    const [leadership, { peers, trouble }] = [log.leadership(), log.status()];
    const troubleOf = (member: string): MemberTrouble | null => {
      if (member === id) return trouble ?? null;
      return leadership.isLeader ? this.#heardTrouble(member) : null;
    };
    return healthOf({ selfId: id, leadership, peers, sinceMs: this.leadershipMs(), troubleOf });
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
    const { logger } = this.#options;
    const seen = new Map<string, boolean>();
    for (const { id, problem, trouble } of members) {
      // A trouble's words count bytes and seconds: it is another one when it began at another time.
      for (const [key, found] of [
        [`${id} ${problem?.message ?? ""}`, problem],
        [`${id} ${trouble?.kind ?? ""} ${trouble?.sinceMs ?? ""}`, trouble],
      ] as const) {
        if (found === undefined) continue;
        const before = this.#problems.get(key);
        if (before === false) {
          const { message, hint } = found;
          logger.warn("tier.member_problem", { coordinator: id, message, hint });
        }
        seen.set(key, before !== undefined);
      }
    }
    this.#problems = seen;
  }

  #tellMissing(members: readonly MemberHealth[]): void {
    const { logger } = this.#options;
    const missing = new Map<string, boolean>();
    for (const member of members) {
      const { id, address, state } = member;
      const isTold = this.#missing.get(id);
      // Whoever this coordinator does not hear from any more is not back for that.
      if (state === "unknown" && isTold !== undefined) missing.set(id, isTold);
      if (state === "answers" && isTold !== undefined) logger.info("tier.member_back", { coordinator: id });
      if (state !== "missing") continue;
      // One that is there says itself what is wrong; should it fall silent altogether, that is told then.
      const isNew = isTold !== true && !isHeldUp(member);
      if (isNew) logger.warn("tier.member_missing", { coordinator: id, address });
      missing.set(id, isNew || isTold === true);
    }
    this.#missing = missing;
  }
}
