import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../common/clock.js";
import { CONFIG_LIMITS } from "../../common/config/defaults.js";
import type { ListenConfig } from "../../common/config/model.js";
import { ClusterduckError } from "../../common/errors.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import type { BoundService, CallContext } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import type { NodeRef } from "../../common/model/node.js";
import type { TlsSource } from "../../common/tls/source.js";
import { TierService } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { JoinRequest, JoinResponseSchema } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { DecisionLoop } from "../decision-loop.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import { MAX_FRAME_BYTES } from "../log/transport/codec.js";
import type { Replica } from "../replica.js";
import { answerForwarded } from "./forward-control.js";
import type { Founder, FoundingView } from "./founding.js";
import { decodeMember } from "./identity.js";
import type { LivingMember } from "./identity.js";
import { introductions } from "./introduction.js";
import { joinSubject } from "./join-tier.js";
import { readJoinToken } from "./join-token.js";
import type { JoinToken } from "./join-token.js";
import { MemberKeeper } from "./member-keeper.js";
import type { TierPeers } from "./peers.js";
import { assertSpeaksForItself } from "./peer-name.js";
import { ReportDesk } from "./report-desk.js";
import type { Presence } from "./report-desk.js";
import { Reporter } from "./reporter.js";
import type { TierPassphrase } from "./tier-passphrase.js";
import type { TierWatch } from "./tier-watch.js";
import { withLeader } from "./with-leader.js";
import type { LeaderCallOptions } from "./with-leader.js";

export type TierOptions = {
  readonly self: () => LivingMember;
  readonly clusterId: string;
  /** As `TierFile.incarnation`. */
  readonly incarnation: string;
  /** Those that founded the tier, as far as this member knows: the state may not know all of them yet. */
  readonly founders: readonly Founder[];
  readonly log: ReplicatedLog;
  readonly replica: Replica;
  readonly decisions: Pick<DecisionLoop, "peerVotes" | "ownVote">;
  readonly watch: TierWatch;
  readonly peers: TierPeers;
  /** The control service as this coordinator itself answers it. */
  readonly control: BoundService;
  readonly tls: TlsSource | null;
  readonly passphrase: TierPassphrase;
  /** As `RaftTransportConfig.replaceDeadAfterMs`. */
  readonly replaceDeadAfterMs: number | null;
  readonly clock: Clock;
  readonly logger: Logger;
};

export interface Tier {
  /** For the server that the other coordinators reach. */
  readonly service: BoundService;
  /** This coordinator's votes on these nodes were formed anew. */
  voted(nodes: readonly NodeRef[]): void;
  /** Of another coordinator, while this one leads. */
  presenceOf(id: string): Presence | undefined;
  /** Of a heartbeat to the leader and back, milliseconds; null: none. */
  roundTripMs(): number | null;
  /** An address of this coordinator has changed. */
  introduceAgain(): void;
  close(): void;
}

/** A new coordinator may have to wait for a leader and for a change of the members that is under way. */
const JOIN_PATIENCE_MS = 10_000;

/** What makes several coordinators one tier, beside the log: who they are, their votes, and calls to the leader. */
export function startTier(options: TierOptions): Tier {
  const { self, log, replica, decisions, watch, peers, control, passphrase, clock, logger } = options;
  const { id } = self();
  const keeper = new MemberKeeper({ ...options, log });
  const desk = new ReportDesk({
    id,
    log,
    state: replica.state,
    votes: decisions.peerVotes,
    admit: async (member) => {
      await keeper.record(member);
      await keeper.place(member);
    },
    clock,
    logger,
  });
  const reporter = new Reporter({
    self,
    log,
    state: replica.state,
    peers,
    ownVote: (node) => decisions.ownVote(node),
    clock,
    logger,
  });
  const service = bindService(
    TierService,
    {
      report: (requests, context) => desk.serve(requests, context),
      forwardCall: answerForwarded(control, log),
      introduce: introductions({
        view: () => viewOf(options),
        onView: () => undefined,
        version: self().version,
        passphrase,
      }),
      challenge: async () => passphrase.challenge(),
      join: (request, context) => answerJoin(options, keeper, request, context),
    },
    ["member"],
  );
  return {
    service,
    voted: (nodes) => reporter.voted(nodes),
    presenceOf: (member) => desk.presenceOf(member),
    roundTripMs: () => reporter.roundTripMs,
    introduceAgain: () => reporter.introduceAgain(),
    close: () => {
      reporter.close();
      keeper.close();
      peers.close();
      watch.close();
    },
  };
}

export function leaderCalls({
  log,
  peers,
  clock,
  watch,
}: Pick<TierOptions, "log" | "peers" | "clock" | "watch">): LeaderCallOptions {
  return { log, peers, clock, noLeader: () => watch.noLeader() };
}

/** The server at the address that the other coordinators know. @throws ClusterduckError LISTEN_FAILED */
export async function serveTier(options: {
  readonly listen: ListenConfig;
  readonly services: readonly BoundService[];
  readonly tls: TlsSource | null;
  readonly logger: Logger;
}): Promise<{ readonly close: () => Promise<void> }> {
  const server = await createGrpcServer({ ...options, messageBytesMax: MESSAGE_BYTES_MAX });
  return { close: () => server.close() };
}

/** An entry of the log may be as large as it may; a call that is passed on, as a configuration's file. */
const MESSAGE_BYTES_MAX = Math.max(MAX_FRAME_BYTES, CONFIG_LIMITS.fileBytes + 128 * 1024);

/** What a coordinator that looks for a tier is told by one that has one. */
function viewOf({ self, clusterId, founders, replica, log }: TierOptions): FoundingView {
  const { id, raftAddress, diskId } = self();
  const told = [...replica.state.members.values()].map((member) => ({
    id: member.id,
    address: member.raftAddress,
    diskId: member.diskId,
  }));
  const own = { id, address: raftAddress, diskId };
  const members = [...new Map([...founders, own, ...told].map((each) => [each.id, each])).values()];
  return {
    self: own,
    expect: log.status().peers.length,
    known: members,
    promised: null,
    clusterId: replica.state.clusterId === "" ? clusterId : replica.state.clusterId,
    members,
  };
}

/** @throws ClusterduckError NOT_ADMITTED, PERMISSION_DENIED, CONFLICT, INVALID_ARGUMENT, UNREACHABLE */
async function answerJoin(
  options: TierOptions,
  keeper: MemberKeeper,
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
    local: () => letIn(options, keeper, member, request.token),
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
  options: TierOptions,
  keeper: MemberKeeper,
  member: LivingMember,
  tokenText: string,
): Promise<{ clusterId: string; incarnation: string; members: Founder[] }> {
  const { replica, log, logger, clusterId, incarnation } = options;
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
    clusterId: state.clusterId === "" ? clusterId : state.clusterId,
    incarnation,
    members: [...state.members.values()]
      .filter(({ removedAtMs }) => removedAtMs === null)
      .map(({ id, raftAddress, diskId }) => ({ id, address: raftAddress, diskId })),
  };
}

function isConflict(thrown: unknown): boolean {
  return thrown instanceof ClusterduckError && thrown.code === "CONFLICT";
}

/** @throws ClusterduckError NOT_ADMITTED, INVALID_ARGUMENT */
function tokenFor(
  { replica, clock, tls }: TierOptions,
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
  if (token.authority !== (tls?.material.authorities[0]?.fingerprint ?? "")) {
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
