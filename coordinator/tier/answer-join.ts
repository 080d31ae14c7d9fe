import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { CallContext } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import type { TlsSource } from "../../common/tls/source.js";
import type { JoinRequest, JoinResponseSchema } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import type { Replica } from "../replica.js";
import type { Founder } from "./founding.js";
import { decodeMember, founderOf } from "./identity.js";
import type { LivingMember } from "./identity.js";
import { joinSubject } from "./join-tier.js";
import { authorityOf, readJoinToken } from "./join-token.js";
import type { JoinToken } from "./join-token.js";
import type { MemberKeeper } from "./member-keeper.js";
import { assertSpeaksForItself } from "./peer-name.js";
import type { TierPeers } from "./peers.js";
import type { TierPassphrase } from "./tier-passphrase.js";
import type { TierWatch } from "./tier-watch.js";
import { leaderCalls, withLeader } from "./with-leader.js";

export type AnswerJoinOptions = {
  readonly self: () => LivingMember;
  readonly clusterId: string;
  /** As `TierFile.incarnation`. */
  readonly incarnation: string;
  readonly log: ReplicatedLog;
  readonly replica: Replica;
  readonly keeper: MemberKeeper;
  readonly watch: TierWatch;
  readonly peers: TierPeers;
  readonly tls: TlsSource | null;
  readonly passphrase: TierPassphrase;
  readonly clock: Clock;
  readonly logger: Logger;
};

/** A new coordinator may have to wait for a leader and for a change of the members that is under way. */
const JOIN_PATIENCE_MS = 10_000;

/**
 * Answers a coordinator that wants to join, on whichever member it asks: the leader lets it in.
 * @throws ClusterduckError NOT_ADMITTED, PERMISSION_DENIED, CONFLICT, INVALID_ARGUMENT, UNREACHABLE
 */
export async function answerJoin(
  options: AnswerJoinOptions,
  request: JoinRequest,
  context: CallContext,
): Promise<MessageInitShape<typeof JoinResponseSchema>> {
  const { self, log, passphrase } = options;
  const { id } = self();
  const member = decodeMember(request.member);
  const subject = joinSubject(member, request.token);
  const caller = request.isForwarded ? request.forwardedBy : member.id;
  assertSpeaksForItself(caller, context.identity);
  if (request.isForwarded && !log.status().peers.some((peer) => peer.id === caller)) {
    throw new ClusterduckError("PERMISSION_DENIED", `Coordinator "${caller}" is no member of this tier`);
  }
  const confirmation = passphrase.admit(request.proof, { id: caller, subject }, context);
  const answer = await withLeader(leaderCalls(options), {
    local: () => letIn(options, member, request.token),
    remote: async (leader, signal) => {
      if (request.isForwarded) throw new ClusterduckError("NOT_LEADER", `Coordinator "${id}" does not lead`);
      const where = log.leadership().leaderId ?? "the leader";
      const proved = await passphrase.prove(leader, where, { id, subject }, { signal });
      const { $typeName: _, proof: _proof, ...passedOn } = request;
      const answer = await leader.join(
        {
          ...passedOn,
          isForwarded: true,
          forwardedBy: id,
          ...(proved.proof === undefined ? {} : { proof: proved.proof }),
        },
        { signal },
      );
      proved.assertConfirmed(answer.confirmation);
      const { clusterId, incarnation, members } = answer;
      return { clusterId, incarnation, members };
    },
    // Who has joined already is let in again with the same answer.
    isRepeatable: true,
    isChange: false,
    patienceMs: request.isForwarded ? 0 : JOIN_PATIENCE_MS,
    signal: context.signal,
  });
  return { ...answer, ...(confirmation === undefined ? {} : { confirmation }) };
}

/** Makes a new coordinator a learner. @throws ClusterduckError NOT_ADMITTED, CONFLICT, INVALID_ARGUMENT */
async function letIn(
  options: AnswerJoinOptions,
  member: LivingMember,
  tokenText: string,
): Promise<{ clusterId: string; incarnation: string; members: Founder[] }> {
  const { replica, log, keeper, logger, clusterId, incarnation } = options;
  const token = tokenText === "" ? null : tokenFor(options, member, tokenText);
  if (token === null && !options.passphrase.isSet) {
    throw new ClusterduckError("NOT_ADMITTED", "A join token is needed: this tier has no passphrase", {
      hint: `On a host with duckctl: duckctl tokens create ${member.id}`,
    });
  }
  await keeper.record(member, token === null ? undefined : { id: token.id });
  const isMember = (): boolean => log.status().peers.some((peer) => peer.id === member.id);
  if (!isMember()) {
    try {
      // Of several that join at the same time each waits here for its turn.
      await log.changeMembership({ kind: "add", id: member.id, address: member.raftAddress });
      logger.info("tier.member_added", { coordinator: member.id, address: member.raftAddress });
    } catch (thrown) {
      // It asked twice, and the other question was the first to be answered.
      if (!isConflict(thrown) || !isMember()) throw thrown;
    }
  }
  const { state } = replica;
  return {
    clusterId: state.clusterId || clusterId,
    incarnation,
    members: [...state.members.values()].filter(({ removedAtMs }) => removedAtMs === null).map(founderOf),
  };
}

function isConflict(thrown: unknown): boolean {
  return thrown instanceof ClusterduckError && thrown.code === "CONFLICT";
}

/** @throws ClusterduckError NOT_ADMITTED, INVALID_ARGUMENT */
function tokenFor(
  { replica, clock, tls }: AnswerJoinOptions,
  member: Pick<LivingMember, "id">,
  text: string,
): JoinToken {
  const token = readJoinToken(text, replica.state.joinSecret, clock.wallMs());
  if (token.coordinatorId !== member.id) {
    throw new ClusterduckError(
      "NOT_ADMITTED",
      `The join token is for coordinator "${token.coordinatorId}", and this one calls itself "${member.id}"`,
      {
        hint: `Set coordinator.id to "${token.coordinatorId}", or make another token: duckctl tokens create ${member.id}`,
      },
    );
  }
  if (token.authority !== authorityOf(tls)) {
    throw new ClusterduckError(
      "NOT_ADMITTED",
      "The join token was made under another certificate authority",
      {
        hint: `Make another one: duckctl tokens create ${member.id}`,
      },
    );
  }
  return token;
}
