import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../common/clock.js";
import { CONFIG_LIMITS } from "../common/config/defaults.js";
import { parseConfigAside } from "../common/config/parse-aside.js";
import { createGrpcServer } from "../common/grpc/server.js";
import { messageOf } from "../common/errors.js";
import type { Logger } from "../common/logger.js";
import type { NodeRef } from "../common/model/node.js";
import { localAddresses, networkIdentity } from "../common/net/host-identity.js";
import type { Random } from "../common/random.js";
import { openTlsSource } from "../common/tls/source.js";
import { VERSION } from "../common/version.js";
import { advertisedAddress } from "./addresses.js";
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
import { firstStates } from "./first-states.js";
import { createMetrics } from "./http/metrics.js";
import { startHttpServer } from "./http/server.js";
import { leaderClock } from "./leader-clock.js";
import type { ReplicatedLog } from "./log/replicated-log.js";
import type { Replica } from "./replica.js";
import { ensureInitialised, openReplica, raiseFeatureLevel } from "./replica-over-log.js";
import { exportSnapshot } from "./export-snapshot.js";
import { committedLedger } from "./delivery/committed-ledger.js";
import { ConfigKeeper } from "./tier/config-keeper.js";
import { forwardToLeader } from "./tier/forward-control.js";
import { ownerOf } from "./tier/identity.js";
import type { LivingMember } from "./tier/identity.js";
import { openLog } from "./tier/open-log.js";
import { patientReplica } from "./tier/patient-replica.js";
import { TierPeers } from "./tier/peers.js";
import { placeOfRun } from "./tier/run-owners.js";
import { leaderCalls, serveTier, startTier } from "./tier/tier.js";
import type { Tier } from "./tier/tier.js";
import { tierControl } from "./tier/tier-control.js";
import { TierPassphrase } from "./tier/tier-passphrase.js";
import { writeTierFile } from "./tier/tier-file.js";
import type { TierFile } from "./tier/tier-file.js";
import { TierWatch } from "./tier/tier-watch.js";
import { steadyClock } from "./steady-clock.js";
import { allows, FEATURE_LEVEL } from "./state/features.js";
import { startTriggerRunner } from "./triggers/runner.js";

export type CoordinatorOptions = {
  readonly file: ConfigFile;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The log or the state machine has failed: the process should end. */
  readonly onFailure: (error: unknown) => void;
  /** Gives up waiting for the other founders of a tier. */
  readonly signal?: AbortSignal;
  /** It waits for the other founders: nothing works until they come. */
  readonly onWaiting?: () => void;
};

export type RunningCoordinator = {
  readonly id: string;
  readonly grpcAddress: string;
  /** Null: the HTTP transport is off. */
  readonly httpAddress: string | null;
  /**
   * Resolves when every node has had a first state, or after `limitMs` milliseconds with those that had none.
   * @throws when the coordinator stops meanwhile.
   */
  readonly firstStates: (limitMs: number) => Promise<readonly NodeRef[]>;
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
    const tls =
      config.tls === null
        ? null
        : await openTlsSource({
            config: config.tls,
            expected: { role: "member", name: config.id },
            clock,
            logger: logger.child("tls"),
          });
    if (tls !== null) closers.push(() => tls.close());

    const passphrase = await TierPassphrase.open({
      passphrase: config.raft.passphrase,
      tls,
      clock,
      logger: logger.child("tier"),
    });
    const { log, tier: membership } = await openLog({
      config,
      tls,
      passphrase,
      version: VERSION,
      clock,
      random,
      logger,
      signal: options.signal ?? new AbortController().signal,
      onWaiting: options.onWaiting ?? (() => undefined),
    });
    closers.push(() => log.close());

    const steady = steadyClock(clock);
    const replica = await openReplica({
      log,
      clock: steady,
      logger: logger.child("state"),
      snapshotEntries: config.snapshotEntries,
      onFailure: options.onFailure,
    });
    closers.push(() => replica.close());
    membership?.transport.shutOut((id) => (replica.state.members.get(id)?.removedAtMs ?? null) !== null);
    const stopping = new AbortController();
    const configKeeper = new ConfigKeeper({
      directory: config.dataDir,
      replica,
      clock,
      logger: logger.child("config"),
      signal: stopping.signal,
    });
    if (membership === null) {
      await ensureInitialised(replica);
      await raiseFeatureLevel(replica, VERSION);
      await takeFileConfig(replica, file);
    }
    const watch = new TierWatch({ id: config.id, log, clock, logger: logger.child("tier") });
    closers.push(() => watch.close());
    const bootId = randomUUID();
    const raftAddress = membership?.address ?? "";

    const declarations = new Declarations({ replica, log, clock, logger: logger.child("agents") });
    closers.push(() => declarations.close());
    let grpcAddress = "";
    let advertised = "";
    let httpAddress = "";
    const own: () => LivingMember = () => ({
      id: config.id,
      raftAddress,
      agentAddress: advertised,
      httpAddress,
      version: VERSION,
      networkIdentity: networkIdentity(),
      diskId: membership?.file.diskId ?? "",
      featureLevel: FEATURE_LEVEL,
      bootId,
    });
    const fleet = createFleet({
      coordinatorId: config.id,
      version: VERSION,
      networkIdentity: networkIdentity(),
      replica,
      members: () => {
        const others = [...replica.state.members.values()].filter(
          ({ id, removedAtMs, agentAddress }) =>
            id !== config.id && removedAtMs === null && agentAddress !== "",
        );
        return [{ id: config.id, agentAddress: advertised }, ...others];
      },
      onDeclared: (agentId, nodes) => declarations.declare(agentId, nodes),
      clock,
      logger: logger.child("agents"),
    });
    closers.push(() => fleet.close());

    let decisions: DecisionLoop | null = null;
    let tier: Tier | null = null;
    const schedule = createSchedule({
      clock,
      random,
      createCheck,
      execChecks: agentConfig.execChecks,
      onReports: (reports) => decisions?.ownReports(reports),
    });
    closers.push(() => schedule.close());
    const leaderTime = leaderClock(steady, () => replica.state.atMs);
    const loop = startDecisionLoop({
      coordinatorId: config.id,
      replica,
      fleet,
      schedule,
      log,
      clock: leaderTime,
      logger: logger.child("health"),
      onVoted: (nodes) => tier?.voted(nodes),
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
    let leadingSinceMs = clock.monotonicMs();
    const triggers = startTriggerRunner({
      replica,
      isLeader,
      owner: ownerOf(own()),
      ...(membership === null
        ? {}
        : {
            placeOf: (run) =>
              placeOfRun(run, {
                ownId: config.id,
                isLeader: isLeader(),
                presenceOf: (id) => tier?.presenceOf(id),
                leadingMs: clock.monotonicMs() - leadingSinceMs,
                nowMs: clock.monotonicMs(),
              }),
          }),
      clock: leaderTime,
      logger: logger.child("triggers"),
      env: options.env,
      dir: join(config.dataDir, "runs"),
    });
    closers.push(() => triggers.stop(TRIGGER_GRACE_MS));
    closers.push(
      log.onLeadership(() => {
        leadingSinceMs = clock.monotonicMs();
        triggers.wake();
        declarations.review();
      }),
    );

    const peers = new TierPeers(
      (id) => log.status().peers.find((peer) => peer.id === id)?.address ?? null,
      tls,
    );
    closers.push(() => peers.close());
    const context: ControlContext = {
      coordinatorId: config.id,
      version: VERSION,
      get address() {
        return advertised;
      },
      startedAtMs: clock.monotonicMs(),
      clock: leaderTime,
      log,
      replica: patientReplica(replica, {
        clock,
        hasLeader: () => log.leadership().leaderId !== null,
        noLeader: () => watch.noLeader(),
      }),
      fleet,
      schedule,
      knowledge: loop,
      balancers: { balancers: () => committedLedger(delivery.balancers(), replica.state, isLeader()) },
      parseConfig: (yaml) => parseConfigAside(yaml, "configuration", options.env),
      tls,
      takeSnapshot: () => exportSnapshot(replica, log, { memberId: config.id, clock }),
      tier: tierControl({ id: config.id, replica, log, watch, tls, clock: leaderTime }),
    };
    const control = controlService(context);
    const server = await createGrpcServer({
      listen: config.grpc,
      logger: logger.child("grpc"),
      services: [
        fleet.service,
        forwardToLeader(control, {
          ...leaderCalls({ log, peers, clock, watch }),
          id: config.id,
          knowsRequests: () => allows(replica.state, "requestIds"),
        }),
      ],
      tls,
      // What a file may say, duckctl may apply.
      messageBytesMax: CONFIG_LIMITS.fileBytes + MESSAGE_FRAME_BYTES,
    });
    grpcAddress = server.address;
    advertised = advertisedAddress({
      listen: config.grpc,
      port: server.port,
      advertise: config.advertise,
      hostAddresses: localAddresses(),
    });
    closers.push(() => server.close());

    const metrics = createMetrics(context);
    const http = config.http === null ? null : await startHttpServer(config.http, context, metrics, tls);
    if (http !== null) closers.push(() => http.close());
    httpAddress = http?.address ?? "";

    if (membership !== null) {
      const started = startTier({
        self: own,
        clusterId: membership.file.clusterId,
        incarnation: membership.file.incarnation,
        founders: membership.file.founders,
        log,
        replica,
        decisions: loop,
        watch,
        peers,
        control,
        tls,
        passphrase,
        replaceDeadAfterMs: config.raft.replaceDeadAfterMs,
        clock: leaderTime,
        logger: logger.child("tier"),
      });
      tier = started;
      closers.push(() => started.close());
      const raftServer = await serveTier({
        listen: config.raft.address,
        services: [membership.transport.service, started.service],
        tls,
        logger: logger.child("raft"),
      });
      closers.push(() => raftServer.close());
      void configKeeper.begin(file);
      noteTier({ dir: config.dataDir, membership, replica, logger });
    }

    logger.info("coordinator.started", {
      id: config.id,
      cluster_id: replica.state.clusterId,
      ...(membership === null ? {} : { incarnation: membership.file.incarnation }),
      grpc: grpcAddress,
      http: http?.address ?? null,
      term: log.leadership().term,
      index: replica.state.index,
    });
    return {
      id: config.id,
      grpcAddress,
      httpAddress: http?.address ?? null,
      firstStates: (limitMs) => firstStates(replica, clock, limitMs, stopping.signal),
      reload: async (next) => {
        // Files that are no longer named may be gone; the new ones are taken at the next start.
        if (isDeepStrictEqual(next.config.coordinator.tls, config.tls)) await tls?.reload();
        const hasChanged =
          membership === null ? await takeFileConfig(replica, next) : await configKeeper.take(next);
        metrics.recordReload(true);
        declarations.review();
        return { hasChanged };
      },
      reloadFailed: () => metrics.recordReload(false),
      stop: async () => {
        logger.info("coordinator.stopping", { id: config.id });
        stopping.abort();
        if (membership !== null) {
          // Runs are recorded while this one still leads; then another leads before anything here stops.
          await triggers.stop(TRIGGER_GRACE_MS);
          await handOver(log, logger);
        }
        await close();
        logger.info("coordinator.stopped", { id: config.id });
      },
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** A planned stop should cost the tier no election. Never rejects. */
async function handOver(log: ReplicatedLog, logger: Logger): Promise<void> {
  const others = log.members().length - 1;
  if (!log.leadership().isLeader || others < 1) return;
  try {
    await log.transferLeadership(null);
    logger.info("tier.handed_over", { leader: log.leadership().leaderId });
  } catch (thrown) {
    logger.warn("tier.not_handed_over", { message: messageOf(thrown) });
  }
}

/** One that stood alone has its tier's name in its log: remembers it beside the log too. */
function noteTier(options: {
  readonly dir: string;
  readonly membership: { readonly file: TierFile };
  readonly replica: Pick<Replica, "state" | "onApplied" | "onReplaced">;
  readonly logger: Logger;
}): void {
  const { dir, membership, replica, logger } = options;
  const { file } = membership;
  if (file.clusterId !== "") return;
  let isDone = false;
  const note = (): void => {
    const { clusterId, index } = replica.state;
    if (isDone || index === 0 || clusterId === "") return;
    isDone = true;
    for (const unsubscribe of subscriptions) unsubscribe();
    writeTierFile(dir, { ...file, clusterId }).catch((error: unknown) =>
      logger.error("tier.not_noted", { error }),
    );
  };
  const subscriptions = [replica.onApplied(note), replica.onReplaced(note)];
  note();
}
