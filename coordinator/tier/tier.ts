import type { Clock } from "../../common/clock.js";
import { CONFIG_LIMITS } from "../../common/config/defaults.js";
import type { ListenConfig } from "../../common/config/model.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import type { BoundService } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import type { NodeRef } from "../../common/model/node.js";
import type { TlsSource } from "../../common/tls/source.js";
import { TierService } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { DecisionLoop } from "../decision-loop.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import { MAX_FRAME_BYTES } from "../log/transport/codec.js";
import type { Replica } from "../replica.js";
import { answerJoin } from "./answer-join.js";
import { answerForwarded } from "./forward-control.js";
import type { Founder, FoundingView } from "./founding.js";
import { founderOf } from "./identity.js";
import type { LivingMember } from "./identity.js";
import { introductions } from "./introduction.js";
import { MemberKeeper } from "./member-keeper.js";
import type { TierPeers } from "./peers.js";
import { ReportDesk } from "./report-desk.js";
import type { Presence } from "./report-desk.js";
import { Reporter } from "./reporter.js";
import type { TierPassphrase } from "./tier-passphrase.js";
import type { TierWatch } from "./tier-watch.js";

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
  watch.hearTroubles((member) => desk.troubleOf(member));
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
      join: (request, context) => answerJoin({ ...options, keeper }, request, context),
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
  const own = founderOf(self());
  const told = [...replica.state.members.values()].map(founderOf);
  const members = [...new Map([...founders, own, ...told].map((each) => [each.id, each])).values()];
  return {
    self: own,
    expect: log.status().peers.length,
    known: members,
    promised: null,
    clusterId: replica.state.clusterId || clusterId,
    members,
  };
}
