import type { Clock } from "../../common/clock.js";
import { CONFIG_LIMITS } from "../../common/config/defaults.js";
import type { ListenConfig } from "../../common/config/model.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import type { BoundService, CallContext } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import type { NodeRef } from "../../common/model/node.js";
import type { TlsSource } from "../../common/tls/source.js";
import { TierService } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { JoinRequest } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { DecisionLoop } from "../decision-loop.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import { MAX_FRAME_BYTES } from "../log/transport/codec.js";
import type { Replica } from "../replica.js";
import { answerForwarded } from "./forward-control.js";
import { introductions } from "./found-tier.js";
import type { Founder, FoundingView } from "./founding.js";
import { decodeMember, encodeMember } from "./identity.js";
import type { LivingMember } from "./identity.js";
import { peekJoinToken, readJoinToken } from "./join-token.js";
import { MemberKeeper } from "./member-keeper.js";
import { TierPeers } from "./peers.js";
import { assertSpeaksForItself } from "./peer-name.js";
import { ReportDesk } from "./report-desk.js";
import type { Presence } from "./report-desk.js";
import { Reporter } from "./reporter.js";
import type { TierWatch } from "./tier-watch.js";
import { withLeader } from "./with-leader.js";
import type { LeaderCallOptions } from "./with-leader.js";

export type TierOptions = {
  readonly self: () => LivingMember;
  readonly clusterId: string;
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
  const { self, log, replica, decisions, watch, peers, control, clock, logger } = options;
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
      introduce: introductions(
        () => viewOf(options),
        () => undefined,
        self().version,
      ),
      join: (request, context) =>
        withLeader(leaderCalls(options), {
          local: () => letIn(options, keeper, request, context),
          remote: (leader, signal) => {
            if (request.isForwarded)
              throw new ClusterduckError("NOT_LEADER", `Coordinator "${id}" does not lead`);
            return leader.join({ ...request, isForwarded: true }, { signal });
          },
          // Who has joined already is let in again with the same answer.
          isRepeatable: true,
          patienceMs: request.isForwarded ? 0 : JOIN_PATIENCE_MS,
          signal: context.signal,
        }),
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

/** Makes a new coordinator a learner. @throws ClusterduckError PERMISSION_DENIED, CONFLICT, INVALID_ARGUMENT */
async function letIn(
  { replica, log, clock, logger, clusterId, tls }: TierOptions,
  keeper: MemberKeeper,
  request: JoinRequest,
  context: CallContext,
): Promise<{ clusterId: string; members: Founder[] }> {
  const member = decodeMember(request.member);
  if (!request.isForwarded) assertSpeaksForItself(member.id, context.identity);
  const token = readJoinToken(request.token, replica.state.joinSecret, clock.wallMs());
  if (token.coordinatorId !== member.id) {
    throw new ClusterduckError(
      "PERMISSION_DENIED",
      `The join token is for coordinator "${token.coordinatorId}", and this one calls itself "${member.id}"`,
      {
        hint: `Set coordinator.id to "${token.coordinatorId}", or make another token: duckctl coordinators add ${member.id}`,
      },
    );
  }
  const authority = tls?.material.authorities[0]?.fingerprint ?? "";
  if (token.authority !== authority) {
    throw new ClusterduckError(
      "PERMISSION_DENIED",
      "The join token was made under another certificate authority",
      {
        hint: `Make another one: duckctl coordinators add ${member.id}`,
      },
    );
  }
  await keeper.record(member, { id: token.id, expiresAtMs: token.expiresAtMs });
  if (!log.status().peers.some((peer) => peer.id === member.id)) {
    await log.changeMembership({ kind: "add", id: member.id, address: member.raftAddress });
    logger.info("tier.member_added", { coordinator: member.id, address: member.raftAddress });
  }
  const { state } = replica;
  return {
    clusterId: state.clusterId === "" ? clusterId : state.clusterId,
    members: [...state.members.values()]
      .filter(({ removedAtMs }) => removedAtMs === null)
      .map(({ id, raftAddress, diskId }) => ({ id, address: raftAddress, diskId })),
  };
}

export type JoinOptions = {
  /** Raft addresses of members; one suffices. */
  readonly addresses: readonly string[];
  readonly token: string;
  readonly member: LivingMember;
  readonly tls: TlsSource | null;
  readonly signal: AbortSignal;
};

/**
 * Asks a tier to let this coordinator in.
 * @throws ClusterduckError UNREACHABLE, or with the tier's reason and remedy.
 */
export async function askToJoin(
  options: JoinOptions,
): Promise<{ clusterId: string; members: readonly Founder[] }> {
  const { addresses, token, member, tls, signal } = options;
  const { coordinatorId, authority } = peekJoinToken(token);
  if (coordinatorId !== member.id) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `The join token is for coordinator "${coordinatorId}", and this one is "${member.id}"`,
      { hint: `Set coordinator.id to "${coordinatorId}"` },
    );
  }
  if (authority !== (tls?.material.authorities[0]?.fingerprint ?? "")) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      "The tier's certificate authority is not the one configured here",
      {
        hint: "Issue this coordinator's certificate with the tier's authority: duckctl tls issue member NAME --host HOST",
      },
    );
  }
  const peers = new TierPeers(() => null, tls);
  const problems: string[] = [];
  try {
    for (const address of addresses) {
      try {
        const answer = await peers
          .at(address)
          .join({ member: encodeMember(member), token }, { signal, timeoutMs: 30_000 });
        return { clusterId: answer.clusterId, members: answer.members };
      } catch (thrown) {
        const isAway =
          thrown instanceof ClusterduckError && ["UNREACHABLE", "TIMED_OUT"].includes(thrown.code);
        if (!isAway) throw thrown;
        problems.push(messageOf(thrown));
      }
    }
  } finally {
    peers.close();
  }
  throw new ClusterduckError("UNREACHABLE", `Cannot join: ${problems.join("; ")}`, {
    hint: "Name the raft address of a member that runs: duckctl coordinators list -o wide",
  });
}
