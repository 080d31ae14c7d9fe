import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { PeerStatus, ReplicatedLog } from "../log/replicated-log.js";
import { RAFT_DEFAULTS } from "../raft/config.js";
import { raiseFeatureLevel } from "../replica-over-log.js";
import type { Replica } from "../replica.js";
import type { MemberRecord } from "../state/model.js";
import type { LivingMember, TierMember } from "./identity.js";
import { replacedMember } from "./replaced-member.js";
import type { TierWatch } from "./tier-watch.js";

export type MemberKeeperOptions = {
  readonly self: () => LivingMember;
  /** Of the tier; a new one's leader gives it to the state. */
  readonly clusterId: string;
  readonly replica: Replica;
  readonly log: Pick<ReplicatedLog, "leadership" | "onLeadership" | "status" | "changeMembership">;
  readonly watch: Pick<TierWatch, "members">;
  /** A voter that was silent for so long goes once another has taken its place, milliseconds; null: never. */
  readonly replaceDeadAfterMs: number | null;
  readonly clock: Clock;
  readonly logger: Logger;
};

const LOOK_EVERY_MS = 500;
/** A learner that has caught up must have done so for this many looks. */
const LOOKS_BEFORE_PROMOTION = 2;
/** Heard this lately, milliseconds. */
const PRESENT_MS = 2_000;
/**
 * A coordinator that the state knows and the log does not is on its way in, or its removal was interrupted;
 * or the tier began again without it. After this long it is the latter. Milliseconds.
 */
const STRAY_MS = 60_000;

/** The leader's care for the members: names the tier, records what they tell, lets learners vote. */
export class MemberKeeper {
  readonly #options: MemberKeeperOptions;
  readonly #unsubscribe: () => void;
  readonly #caughtUp = new Map<string, number>();
  readonly #strayed = new Map<string, number>();
  #cancel: () => void = () => undefined;
  #isBusy = false;
  #isClosed = false;
  /** The same trouble again and again is one event. */
  #trouble = "";

  constructor(options: MemberKeeperOptions) {
    this.#options = options;
    this.#unsubscribe = options.log.onLeadership(() => void this.#look());
    this.#schedule();
    void this.#look();
  }

  /** Commits what a member tells of itself. @throws ClusterduckError CONFLICT when it may not be one. */
  async record(member: TierMember, token?: { readonly id: string }): Promise<void> {
    const { id, raftAddress, agentAddress, httpAddress, version, networkIdentity, diskId } = member;
    const { featureLevel = 0 } = member;
    const places = { id, raftAddress, agentAddress, httpAddress };
    const told = { ...places, version, networkIdentity, diskId, featureLevel };
    const { replica } = this.#options;
    const known = replica.state.members.get(id);
    if (token === undefined && known !== undefined && isSame(known, told)) return;
    const isLeader = id === this.#options.self().id && this.#options.log.leadership().isLeader;
    const command = {
      type: "setMember",
      member: told,
      ...(isLeader ? { isLeader } : {}),
      ...(token === undefined ? {} : { token }),
    } as const;
    const { result } = await replica.propose(command, `coordinator:${id}`);
    if (!result.isAccepted) throw new ClusterduckError(result.code, result.message);
  }

  /** The log, too, has to know where a member is reached. @throws as `ReplicatedLog.changeMembership`. */
  async place({ id, raftAddress }: Pick<TierMember, "id" | "raftAddress">): Promise<void> {
    const { log } = this.#options;
    const peer = log.status().peers.find((each) => each.id === id);
    if (peer !== undefined && peer.address !== raftAddress)
      await log.changeMembership({ kind: "move", id, address: raftAddress });
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    this.#cancel();
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#cancel();
    this.#cancel = this.#options.clock.after(LOOK_EVERY_MS, () => {
      this.#schedule();
      void this.#look();
    });
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { log, logger } = this.#options;
    if (this.#isBusy || this.#isClosed || !log.leadership().isLeader) return;
    this.#isBusy = true;
    try {
      await this.#keep();
      this.#trouble = "";
    } catch (thrown) {
      const trouble = messageOf(thrown);
      if (trouble !== this.#trouble && !this.#isClosed)
        logger.warn("tier.members_not_kept", { message: trouble });
      this.#trouble = trouble;
    } finally {
      this.#isBusy = false;
    }
  }

  async #keep(): Promise<void> {
    const { replica, clusterId, self, log } = this.#options;
    if (replica.state.clusterId === "") await replica.propose({ type: "initialise", clusterId }, "leader");
    await this.record(self());
    await this.place(self());
    const { peers, commitIndex } = log.status();
    // Whom the state does not know may be of any version.
    if (peers.every(({ id }) => replica.state.members.has(id))) await this.#raiseLevel();
    for (const peer of peers) {
      if (peer.role === "learner" && this.#mayVote(peer, commitIndex)) await this.#promote(peer.id);
    }
    await this.#replaceDead();
    for (const id of this.#straysOf(peers))
      await replica.propose({ type: "removeMember", memberId: id }, "leader");
  }

  async #raiseLevel(): Promise<void> {
    const { replica, self, logger } = this.#options;
    const before = replica.state.featureLevel.level;
    await raiseFeatureLevel(replica, self().version);
    const { level } = replica.state.featureLevel;
    if (level > before) logger.info("tier.feature_level", { level, before });
  }

  #mayVote(peer: PeerStatus, commitIndex: number): boolean {
    const lag = commitIndex - (peer.matchIndex ?? 0);
    const isThere = peer.silentMs !== null && peer.silentMs < PRESENT_MS;
    const looks =
      isThere && lag <= RAFT_DEFAULTS.maxPromotionLag ? (this.#caughtUp.get(peer.id) ?? 0) + 1 : 0;
    this.#caughtUp.set(peer.id, looks);
    return looks >= LOOKS_BEFORE_PROMOTION;
  }

  async #promote(id: string): Promise<void> {
    const { log, logger } = this.#options;
    await log.changeMembership({ kind: "promote", id });
    this.#caughtUp.delete(id);
    logger.info("tier.member_promoted", { coordinator: id });
  }

  /** One at a time: the next look sees what the removal has made of the tier. */
  async #replaceDead(): Promise<void> {
    const { log, watch, replica, replaceDeadAfterMs, logger } = this.#options;
    if (replaceDeadAfterMs === null) return;
    const id = replacedMember(watch.members(), replaceDeadAfterMs);
    if (id === null) return;
    await log.changeMembership({ kind: "remove", id });
    logger.warn("tier.dead_member_removed", { coordinator: id, silent_for_ms: replaceDeadAfterMs });
    await replica.propose({ type: "removeMember", memberId: id }, "leader");
  }

  #straysOf(peers: readonly PeerStatus[]): readonly string[] {
    const { replica, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const strays = [...replica.state.members.values()].filter(
      ({ id, removedAtMs }) => removedAtMs === null && !peers.some((peer) => peer.id === id),
    );
    for (const id of this.#strayed.keys())
      if (!strays.some((each) => each.id === id)) this.#strayed.delete(id);
    return strays.flatMap(({ id }) => {
      const sinceMs = this.#strayed.get(id) ?? nowMs;
      this.#strayed.set(id, sinceMs);
      return nowMs - sinceMs >= STRAY_MS ? [id] : [];
    });
  }
}

function isSame({ sinceMs: _since, removedAtMs, ...known }: MemberRecord, told: TierMember): boolean {
  return removedAtMs === null && isDeepStrictEqual({ featureLevel: 0, ...known }, { ...told });
}
