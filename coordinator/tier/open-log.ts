import { join } from "node:path";
import type { Clock } from "../../common/clock.js";
import type { CoordinatorConfig } from "../../common/config/model.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import { localAddresses } from "../../common/net/host-identity.js";
import type { Random } from "../../common/random.js";
import type { TlsSource } from "../../common/tls/source.js";
import { advertisedAddress } from "../addresses.js";
import { openRaftLog } from "../log/open-raft-log.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import { openSingleMemberLog } from "../log/single-member-log.js";
import { realDisk } from "../log/storage/disk.js";
import { parseSegmentFile } from "../log/storage/segment.js";
import { assertNoUnfinishedRestore } from "../log/storage/unfinished-restore.js";
import { createGrpcTransport } from "../log/transport/grpc-transport.js";
import type { GrpcTransport } from "../log/transport/grpc-transport.js";
import { assertUnknown } from "./assert-unknown.js";
import { foundTier } from "./found-tier.js";
import { joinDurably } from "./join-tier.js";
import type { TierPassphrase } from "./tier-passphrase.js";
import { clusterIdOf } from "./founding.js";
import { assertTierFileNotLost } from "./missing-tier-file.js";
import { newIncarnation, newTierFile, readTierFile, writeTierFile } from "./tier-file.js";
import type { TierFile } from "./tier-file.js";

export type OpenLogOptions = {
  readonly config: CoordinatorConfig;
  readonly tls: TlsSource | null;
  readonly passphrase: TierPassphrase;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The other founders are waited for: nothing works until they come. */
  readonly onWaiting: () => void;
};

export type OpenedLog = {
  readonly log: ReplicatedLog;
  /** Null: the coordinator stands alone, as its configuration says. */
  readonly tier: {
    readonly file: TierFile;
    /** Where the others reach this one. */
    readonly address: string;
    readonly transport: GrpcTransport;
  } | null;
};

/**
 * Opens the log of a coordinator as its configuration and its data directory want it: alone, or as a member
 * of a tier, which may have to be founded first.
 * @throws ClusterduckError CONFIG_INVALID, CONFLICT with the remedy, STOPPING, and as the logs.
 */
export async function openLog(options: OpenLogOptions): Promise<OpenedLog> {
  const { config, clock, logger } = options;
  const { dataDir, id, raft } = config;
  await assertNoUnfinishedRestore(realDisk, dataDir);
  const known = await readTierFile(dataDir);
  if (known !== null && known.coordinatorId !== id) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot start coordinator "${id}": "${dataDir}" belongs to coordinator "${known.coordinatorId}"`,
      {
        hint: `Set coordinator.id to "${known.coordinatorId}", or coordinator.data_dir to another directory`,
      },
    );
  }
  const isFit = known !== null || (await assertTierFileNotLost(id, dataDir));
  if (!raft.isEnabled) {
    if (known !== null && known.clusterId !== "") throw transportMissing(id, known);
    const log = await openSingleMemberLog({ dir: dataDir, memberId: id, clock, logger: logger.child("log") });
    return { log, tier: null };
  }
  return openMember(options, known ?? newTierFile(id), { isOnDisk: known !== null, isFit });
}

/** Where the other coordinators reach this one. @throws ClusterduckError CONFIG_INVALID without a port of its own. */
export function raftAddressOf({ raft, id }: CoordinatorConfig): string {
  if (raft.address.port === 0) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot start coordinator "${id}": the raft transport's address has port 0, and the others must know where it is`,
      { hint: "Give it a port: transports: [{type: raft, address: HOST:9910}]" },
    );
  }
  return advertisedAddress({
    listen: raft.address,
    port: raft.address.port,
    advertise: raft.advertise,
    hostAddresses: localAddresses(),
  });
}

async function openMember(
  options: OpenLogOptions,
  known: TierFile,
  { isOnDisk, isFit }: { readonly isOnDisk: boolean; readonly isFit: boolean },
): Promise<OpenedLog> {
  const { config, tls, clock, random, logger } = options;
  const { dataDir, id, raft } = config;
  const address = raftAddressOf(config);
  const hasLog = await hasSegments(dataDir);
  if (known.hasLog && !hasLog) throw logLost(id, known, dataDir);
  // A coordinator that stood alone becomes the first of its tier, whose name is in its log.
  const stoodAlone = known.clusterId === "" && hasLog;
  const file = stoodAlone
    ? await asFirst(dataDir, known, isFit)
    : known.clusterId === ""
      ? await become(options, { file: known, isOnDisk, address })
      : known;
  const transport = createGrpcTransport({
    memberId: id,
    clusterId: file.clusterId,
    incarnation: file.incarnation,
    tls,
    electionMs: raft.electionMs,
    clock,
    random,
    logger: logger.child("raft"),
  });
  const founding = file.founders.map((founder) => ({
    id: founder.id,
    role: "voter" as const,
    address: founder.address,
  }));
  const log = await openRaftLog({
    dir: dataDir,
    memberId: id,
    clusterId: file.clusterId,
    address,
    founding: founding.length === 0 ? null : founding,
    onStored: () => noteLog(dataDir, file),
    timing: { heartbeatMs: raft.heartbeatMs, electionMs: raft.electionMs },
    transport,
    clock,
    random,
    logger: logger.child("log"),
  });
  return { log, tier: { file: { ...file, hasLog: true }, address, transport } };
}

/**
 * A log that no tier's name stands beside may be that of a snapshot, restored where a member of a tier had been: what
 * it becomes is new, and members of that tier have no part in it.
 */
async function asFirst(directory: string, known: TierFile, isFit: boolean): Promise<TierFile> {
  // A log that is damaged, or of another coordinator, is not going to be opened.
  if (known.incarnation !== "" || !isFit) return known;
  const file = { ...known, incarnation: newIncarnation() };
  await writeTierFile(directory, file);
  return file;
}

/** Once it may have promised anything, it must not come back without its log. */
async function noteLog(directory: string, file: TierFile): Promise<void> {
  if (!file.hasLog) await writeTierFile(directory, { ...file, hasLog: true });
}

/** Founds a tier with those that the configuration names, or of one; or joins theirs, if the passphrase lets it in. */
async function become(
  options: OpenLogOptions,
  {
    file,
    isOnDisk,
    address,
  }: { readonly file: TierFile; readonly isOnDisk: boolean; readonly address: string },
): Promise<TierFile> {
  const { config, logger, onWaiting, passphrase, signal } = options;
  const { dataDir, raft, id } = config;
  const others = raft.bootstrap.filter((place) => place !== address);
  if (others.length === 0 && file.promised === null) {
    if (isOnDisk) throw joinUnfinished(id, dataDir);
    await assertUnknown({ ...options, listen: raft.address, id });
    const founders = [{ id, address, diskId: file.diskId }];
    const alone = { ...file, promised: founders, founders, clusterId: clusterIdOf(founders) };
    await writeTierFile(dataDir, alone);
    return alone;
  }
  onWaiting();
  const founded = await foundTier({
    directory: dataDir,
    file,
    address,
    listen: raft.address,
    bootstrap: others,
    expect: others.length + 1,
    join: passphrase.isSet ? (addresses) => joinTier(options, { file, address, addresses }) : null,
    isStaying: false,
    tls: options.tls,
    passphrase,
    version: options.version,
    clock: options.clock,
    logger: logger.child("tier"),
    signal,
    onProgress: (words) => logger.info("tier.waiting", { message: words }),
  });
  if (founded.founders.length === 0) return founded;
  logger.info("tier.founded", {
    cluster_id: founded.clusterId,
    founders: founded.founders.map(({ id: each }) => each),
  });
  return founded;
}

/** Whoever knows the passphrase joins by being started, with any member's address. */
async function joinTier(
  options: OpenLogOptions,
  place: { readonly file: TierFile; readonly address: string; readonly addresses: readonly string[] },
): Promise<TierFile> {
  const { config, logger } = options;
  const { joined, members } = await joinDurably({
    ...options,
    ...place,
    directory: config.dataDir,
    token: null,
  });
  logger.info("tier.joined", { cluster_id: joined.clusterId, members: members.map(({ id }) => id) });
  return joined;
}

async function hasSegments(directory: string): Promise<boolean> {
  return (await realDisk.list(directory)).some((file) => parseSegmentFile(file) !== null);
}

function transportMissing(id: string, file: TierFile): ClusterduckError {
  return new ClusterduckError(
    "CONFIG_INVALID",
    `Cannot start coordinator "${id}" alone: its data directory belongs to tier ${file.clusterId}`,
    { hint: "Name where the others reach it: transports: [{type: raft, address: HOST:PORT}]" },
  );
}

function joinUnfinished(id: string, directory: string): ClusterduckError {
  return new ClusterduckError(
    "CONFLICT",
    `Cannot start coordinator "${id}": it began to join a tier, and was not let in yet`,
    {
      hint: `Repeat \`duck-coordinator join\`; or, to begin a tier of its own, remove "${join(directory, "tier.json")}"`,
    },
  );
}

function logLost(id: string, file: TierFile, directory: string): ClusterduckError {
  return new ClusterduckError(
    "LOG_CORRUPT",
    `Cannot start coordinator "${id}": its log in "${directory}" is gone, and with it which votes it gave in tier ${file.clusterId}`,
    {
      hint: `On another member: duckctl coordinators remove ${id}; then remove "${join(directory, "tier.json")}", give this one another id and let it join`,
    },
  );
}
