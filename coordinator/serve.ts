import { CONFIG_LIMITS } from "../common/config/defaults.js";
import { parseConfigAside } from "../common/config/parse-aside.js";
import { createGrpcServer } from "../common/grpc/server.js";
import type { BoundService } from "../common/grpc/service.js";
import { localAddresses } from "../common/net/host-identity.js";
import { VERSION } from "../common/version.js";
import { advertisedAddress } from "./addresses.js";
import type { ControlContext } from "./api/context.js";
import { controlService } from "./api/control-service.js";
import type { Closers } from "./closers.js";
import { committedLedger } from "./delivery/committed-ledger.js";
import { exportSnapshot } from "./export-snapshot.js";
import type { Foundation } from "./foundation.js";
import { createMetrics } from "./http/metrics.js";
import type { Metrics } from "./http/metrics.js";
import { startHttpServer } from "./http/server.js";
import type { CoordinatorOptions } from "./options.js";
import { allows } from "./state/features.js";
import { forwardToLeader } from "./tier/forward-control.js";
import { patientReplica } from "./tier/patient-replica.js";
import { TierPeers } from "./tier/peers.js";
import { tierControl } from "./tier/tier-control.js";
import { leaderCalls } from "./tier/with-leader.js";
import type { Whereabouts } from "./whereabouts.js";
import type { Work } from "./work.js";

/** Where a coordinator answers agents, people and monitoring. */
export type Served = {
  readonly grpcAddress: string;
  /** Null: HTTP is off. */
  readonly httpAddress: string | null;
  readonly metrics: Metrics;
  /** The control service as this coordinator itself answers it. */
  readonly control: BoundService;
  readonly peers: TierPeers;
};

export type ServeParts = {
  readonly options: CoordinatorOptions;
  readonly foundation: Foundation;
  readonly work: Work;
  /** Learns the addresses. */
  readonly whereabouts: Whereabouts;
};

/** What a message holds beside a configuration's text, bytes. */
const MESSAGE_FRAME_BYTES = 64 * 1024;

/** @throws ClusterduckError LISTEN_FAILED. */
export async function serve(parts: ServeParts, closers: Closers): Promise<Served> {
  const { options, foundation, work, whereabouts } = parts;
  const { logger } = options;
  const { coordinator: config } = options.file.config;
  const { tls, log, replica, watch, clock } = foundation;
  const peers = new TierPeers(
    (id) => log.status().peers.find((peer) => peer.id === id)?.address ?? null,
    tls,
  );
  closers.add(() => peers.close());
  const context = controlContext(parts);
  const control = controlService(context);
  const server = await createGrpcServer({
    listen: config.grpc,
    logger: logger.child("grpc"),
    services: [
      work.fleet.service,
      forwardToLeader(control, {
        ...leaderCalls({ log, peers, clock, watch }),
        id: config.id,
        knowsRequests: () => allows(replica.state, "requestIds"),
        closeRequest: async (requestId) => {
          await replica.propose({ type: "closeRequest" }, `coordinator:${config.id}`, requestId);
        },
      }),
    ],
    tls,
    // What a file may say, duckctl may apply.
    messageBytesMax: CONFIG_LIMITS.fileBytes + MESSAGE_FRAME_BYTES,
  });
  closers.add(() => server.close());
  whereabouts.agentAddress = advertisedAddress({
    listen: config.grpc,
    port: server.port,
    advertise: config.advertise,
    hostAddresses: localAddresses(),
  });
  const metrics = createMetrics(context);
  const http = config.http === null ? null : await startHttpServer(config.http, context, metrics, tls);
  if (http !== null) closers.add(() => http.close());
  whereabouts.httpAddress = http?.address ?? "";
  return { grpcAddress: server.address, httpAddress: http?.address ?? null, metrics, control, peers };
}

function controlContext({ options, foundation, work, whereabouts }: ServeParts): ControlContext {
  const { id } = options.file.config.coordinator;
  const { tls, log, replica, watch, clock } = foundation;
  const { fleet, schedule, decisions, delivery } = work;
  return {
    coordinatorId: id,
    version: VERSION,
    get address() {
      return whereabouts.agentAddress;
    },
    startedAtMs: options.clock.monotonicMs(),
    clock,
    log,
    replica: patientReplica(replica, {
      clock: options.clock,
      hasLeader: () => log.leadership().leaderId !== null,
      noLeader: () => watch.noLeader(),
    }),
    fleet,
    schedule,
    knowledge: decisions,
    balancers: {
      balancers: () => committedLedger(delivery.balancers(), replica.state, log.leadership().isLeader),
    },
    parseConfig: (yaml) => parseConfigAside(yaml, "configuration", options.env),
    tls,
    takeSnapshot: () => exportSnapshot(replica, log, { memberId: id, clock: options.clock }),
    tier: tierControl({ id, replica, log, watch, tls, clock }),
  };
}
