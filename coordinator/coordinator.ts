import { join } from "node:path";
import type { Clock } from "../common/clock.js";
import { CONFIG_LIMITS } from "../common/config/defaults.js";
import { parseConfigText } from "../common/config/load.js";
import { createGrpcServer } from "../common/grpc/server.js";
import type { Logger } from "../common/logger.js";
import { networkIdentity } from "../common/net/host-identity.js";
import type { Random } from "../common/random.js";
import { VERSION } from "../common/version.js";
import { createCheck } from "../checks/registry.js";
import { createSchedule } from "../checks/schedule/create.js";
import { haproxyApplierFactory } from "../appliers/haproxy/applier.js";
import { createFleet } from "./agents/create-fleet.js";
import type { ControlContext } from "./api/context.js";
import { controlService } from "./api/control-service.js";
import { Declarations } from "./declarations.js";
import { startDecisionLoop } from "./decision-loop.js";
import type { DecisionLoop } from "./decision-loop.js";
import { startDelivery } from "./delivery/start.js";
import { takeFileConfig } from "./file-config.js";
import type { ConfigFile } from "./file-config.js";
import { createMetrics } from "./http/metrics.js";
import { startHttpServer } from "./http/server.js";
import { leaderClock } from "./leader-clock.js";
import { openSingleMemberLog } from "./log/single-member-log.js";
import { ensureInitialised, openReplica } from "./replica-over-log.js";
import { exportSnapshot } from "./export-snapshot.js";
import { startTriggerRunner } from "./triggers/runner.js";

export type CoordinatorOptions = {
  readonly file: ConfigFile;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The log or the state machine has failed: the process should end. */
  readonly onFailure: (error: unknown) => void;
};

export type RunningCoordinator = {
  readonly id: string;
  readonly grpcAddress: string;
  /** Null: the HTTP transport is off. */
  readonly httpAddress: string | null;
  /** Takes a new file: its clusters and balancers at once, its process settings at the next start. */
  readonly reload: (file: ConfigFile) => Promise<{ readonly hasChanged: boolean }>;
  /** Tells the metrics that a file was refused. */
  readonly reloadFailed: () => void;
  /** Stops deciding, lets running triggers end, closes streams and the log. */
  readonly stop: () => Promise<void>;
};

/** What a message holds beside a configuration's text, bytes. */
const MESSAGE_FRAME_BYTES = 64 * 1024;
/** How long running triggers may go on when the coordinator stops, milliseconds. */
const TRIGGER_GRACE_MS = 5_000;

/**
 * Starts a coordinator from its parts: log, replica, fleet, decision loop, delivery, triggers, servers.
 * @throws ClusterduckError LOG_LOCKED, LOG_CORRUPT, DISK_FAILED, LISTEN_FAILED; nothing is left running then.
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const { clock, random, logger, file } = options;
  const { coordinator: config, agent: agentConfig } = file.config;
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.reverse().splice(0)) await closer();
  };
  try {
    const log = await openSingleMemberLog({
      dir: config.dataDir,
      memberId: config.id,
      clock,
      logger: logger.child("log"),
    });
    closers.push(() => log.close());

    const replica = await openReplica({
      log,
      clock,
      logger: logger.child("state"),
      snapshotEntries: config.snapshotEntries,
      onFailure: options.onFailure,
    });
    closers.push(() => replica.close());
    await ensureInitialised(replica);
    await takeFileConfig(replica, file);

    const declarations = new Declarations({ replica, log, clock, logger: logger.child("agents") });
    closers.push(() => declarations.close());
    let grpcAddress = "";
    const fleet = createFleet({
      coordinatorId: config.id,
      version: VERSION,
      networkIdentity: networkIdentity(),
      replica,
      members: () => [{ id: config.id, agentAddress: grpcAddress }],
      onDeclared: (agentId, nodes) => declarations.declare(agentId, nodes),
      clock,
      logger: logger.child("agents"),
    });
    closers.push(() => fleet.close());

    let decisions: DecisionLoop | null = null;
    const schedule = createSchedule({
      clock,
      random,
      createCheck,
      execChecks: agentConfig.execChecks,
      onReports: (reports) => decisions?.ownReports(reports),
    });
    closers.push(() => schedule.close());
    const loop = startDecisionLoop({
      coordinatorId: config.id,
      replica,
      fleet,
      schedule,
      log,
      clock,
      logger: logger.child("health"),
    });
    decisions = loop;
    closers.push(() => loop.close());

    const delivery = startDelivery({
      replica,
      fleet,
      log,
      clock,
      logger: logger.child("delivery"),
      createApplier: haproxyApplierFactory({ stateDir: config.dataDir, clock }),
    });
    closers.push(() => delivery.close());

    const isLeader = (): boolean => log.leadership().isLeader;
    const leaderTime = leaderClock(clock, () => replica.state.atMs);
    const triggers = startTriggerRunner({
      replica,
      isLeader,
      clock: leaderTime,
      logger: logger.child("triggers"),
      env: options.env,
      dir: join(config.dataDir, "runs"),
    });
    closers.push(() => triggers.stop(TRIGGER_GRACE_MS));
    closers.push(
      log.onLeadership(() => {
        triggers.wake();
        declarations.review();
      }),
    );

    const context: ControlContext = {
      coordinatorId: config.id,
      version: VERSION,
      get address() {
        return grpcAddress;
      },
      startedAtMs: clock.monotonicMs(),
      clock: leaderTime,
      log,
      replica,
      fleet,
      schedule,
      knowledge: loop,
      balancers: delivery,
      parseConfig: (yaml) => parseConfigText(yaml, "configuration", options.env),
      takeSnapshot: () => exportSnapshot(replica, log, { memberId: config.id, clock }),
    };
    const server = await createGrpcServer({
      listen: config.grpc,
      logger: logger.child("grpc"),
      services: [fleet.service, controlService(context)],
      // What a file may say, duckctl may apply.
      messageBytesMax: CONFIG_LIMITS.fileBytes + MESSAGE_FRAME_BYTES,
    });
    grpcAddress = server.address;
    closers.push(() => server.close());

    const metrics = createMetrics(context);
    const http = config.http === null ? null : await startHttpServer(config.http, context, metrics);
    if (http !== null) closers.push(() => http.close());

    logger.info("coordinator.started", {
      id: config.id,
      cluster_id: replica.state.clusterId,
      grpc: grpcAddress,
      http: http?.address ?? null,
      term: log.leadership().term,
      index: replica.state.index,
    });
    return {
      id: config.id,
      grpcAddress,
      httpAddress: http?.address ?? null,
      reload: async (next) => {
        const hasChanged = await takeFileConfig(replica, next);
        metrics.recordReload(true);
        declarations.review();
        return { hasChanged };
      },
      reloadFailed: () => metrics.recordReload(false),
      stop: async () => {
        logger.info("coordinator.stopping", { id: config.id });
        await close();
        logger.info("coordinator.stopped", { id: config.id });
      },
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}
