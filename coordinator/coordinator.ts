import { isDeepStrictEqual } from "node:util";
import { messageOf } from "../common/errors.js";
import type { Logger } from "../common/logger.js";
import type { NodeRef } from "../common/model/node.js";
import { VERSION } from "../common/version.js";
import { Closers } from "./closers.js";
import { takeFileConfig } from "./file-config.js";
import type { ConfigFile } from "./file-config.js";
import { firstStates } from "./first-states.js";
import { openFoundation } from "./foundation.js";
import type { Foundation } from "./foundation.js";
import type { ReplicatedLog } from "./log/replicated-log.js";
import type { CoordinatorOptions } from "./options.js";
import type { Replica } from "./replica.js";
import { ensureInitialised, raiseFeatureLevel } from "./replica-over-log.js";
import { serve } from "./serve.js";
import type { Served } from "./serve.js";
import { ConfigKeeper } from "./tier/config-keeper.js";
import { serveTier, startTier } from "./tier/tier.js";
import type { Tier } from "./tier/tier.js";
import { writeTierFile } from "./tier/tier-file.js";
import type { TierFile } from "./tier/tier-file.js";
import { Whereabouts } from "./whereabouts.js";
import { startWork, TRIGGER_GRACE_MS } from "./work.js";
import type { Work } from "./work.js";

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

/**
 * Starts a coordinator from its parts: first what it stands on, then its work, then those who answer, then the tier.
 * @throws ClusterduckError LOG_LOCKED, LOG_CORRUPT, DISK_FAILED, LISTEN_FAILED; nothing is left running then.
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const closers = new Closers();
  try {
    return await start(options, closers);
  } catch (thrown) {
    await closers.close();
    throw thrown;
  }
}

async function start(options: CoordinatorOptions, closers: Closers): Promise<RunningCoordinator> {
  const { clock, logger, file } = options;
  const { coordinator: config } = file.config;
  const foundation = await openFoundation(options, closers);
  const { tls, log, membership, replica } = foundation;
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
  const whereabouts = new Whereabouts({
    id: config.id,
    raftAddress: membership?.address ?? "",
    diskId: membership?.file.diskId ?? "",
  });
  let tier: Tier | null = null;
  const work = startWork({ options, foundation, whereabouts, tier: () => tier }, closers);
  const served = await serve({ options, foundation, work, whereabouts }, closers);
  if (membership !== null) {
    tier = await joinIn({ options, foundation, membership, work, served, whereabouts }, closers);
    void configKeeper.begin(file);
    noteTier({ dir: config.dataDir, membership, replica, logger });
  }
  // The state of a member is empty before anybody leads; one that stood alone learns its tier's name from it.
  const clusterId = replica.state.clusterId || (membership?.file.clusterId ?? "");
  logger.info("coordinator.started", {
    id: config.id,
    ...(clusterId === "" ? {} : { cluster_id: clusterId }),
    ...(membership === null ? {} : { incarnation: membership.file.incarnation }),
    grpc: served.grpcAddress,
    http: served.httpAddress,
    term: log.leadership().term,
    index: replica.state.index,
  });
  return {
    id: config.id,
    grpcAddress: served.grpcAddress,
    httpAddress: served.httpAddress,
    firstStates: (limitMs) => firstStates(replica, clock, limitMs, stopping.signal),
    reload: async (next) => {
      // Files that are no longer named may be gone; the new ones are taken at the next start.
      if (isDeepStrictEqual(next.config.coordinator.tls, config.tls)) await tls?.reload();
      const hasChanged =
        membership === null ? await takeFileConfig(replica, next) : await configKeeper.take(next);
      served.metrics.recordReload(true);
      work.declarations.review();
      return { hasChanged };
    },
    reloadFailed: () => served.metrics.recordReload(false),
    stop: async () => {
      logger.info("coordinator.stopping", { id: config.id });
      stopping.abort();
      if (membership !== null) {
        // Runs are recorded while this one still leads; then another leads before anything here stops.
        await work.triggers.stop(TRIGGER_GRACE_MS);
        await handOver(log, logger);
      }
      await closers.close();
      logger.info("coordinator.stopped", { id: config.id });
    },
  };
}

type JoinParts = {
  readonly options: CoordinatorOptions;
  readonly foundation: Foundation;
  readonly membership: NonNullable<Foundation["membership"]>;
  readonly work: Work;
  readonly served: Served;
  readonly whereabouts: Whereabouts;
};

/** Becomes one of several. @throws ClusterduckError LISTEN_FAILED. */
async function joinIn(
  { options, foundation, membership, work, served, whereabouts }: JoinParts,
  closers: Closers,
): Promise<Tier> {
  const { logger, file } = options;
  const { raft } = file.config.coordinator;
  const { tls, passphrase, log, replica, watch, clock } = foundation;
  const { clusterId, incarnation, founders } = membership.file;
  const tier = startTier({
    self: () => whereabouts.self(),
    clusterId,
    incarnation,
    founders,
    log,
    replica,
    decisions: work.decisions,
    watch,
    peers: served.peers,
    control: served.control,
    tls,
    passphrase,
    replaceDeadAfterMs: raft.replaceDeadAfterMs,
    clock,
    logger: logger.child("tier"),
  });
  closers.add(() => tier.close());
  const server = await serveTier({
    listen: raft.address,
    services: [membership.transport.service, tier.service],
    tls,
    logger: logger.child("raft"),
  });
  closers.add(() => server.close());
  return tier;
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
