import type { Clock } from "../../common/clock.js";
import type { Logger } from "../../common/logger.js";
import type { Random } from "../../common/random.js";
import { RAFT_DEFAULTS } from "../raft/config.js";
import type { RaftConfig } from "../raft/config.js";
import { RaftCore } from "../raft/core.js";
import { voterIds } from "../raft/membership.js";
import { DiskWatch } from "./disk-watch.js";
import { LogOverRaft } from "./raft-log.js";
import type { RaftLog } from "./raft-log.js";
import { restoredState } from "./restored-state.js";
import type { Beginning } from "./restored-state.js";
import { realDisk } from "./storage/disk.js";
import type { Disk } from "./storage/disk.js";
import { LogStorage } from "./storage/log-storage.js";
import { RAFT_TIMING_DEFAULTS, ticksOf } from "./timing.js";
import type { RaftTiming } from "./timing.js";
import { noTransport } from "./transport/peer-transport.js";
import type { PeerTransport } from "./transport/peer-transport.js";

export type RaftLogOptions = Beginning & {
  /** Data directory, made if there is none. */
  readonly dir: string;
  /** Names the tier: a directory of another one is refused. Empty while it has no name. */
  readonly clusterId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How the members reach each other. Default: not at all, for a tier of one. */
  readonly transport?: PeerTransport;
  readonly timing?: RaftTiming;
  readonly disk?: Disk;
  /** Size of one log segment, of which two or more are on the disk. Default 8 MiB. */
  readonly segmentBytes?: number;
  /** Space that the log leaves free on its file system. Default 32 MiB. */
  readonly reserveBytes?: number;
  /** What the core may hold and send; the defaults fit a local network. */
  readonly limits?: Partial<Pick<RaftConfig, keyof typeof RAFT_DEFAULTS>>;
  /** How long a proposal or a read may wait for a leader and a quorum, milliseconds. Default: 10 s. */
  readonly timeoutMs?: number;
  /** Awaited once there is a log on the disk, before anybody is told anything. The log does not open if it rejects. */
  readonly onStored?: () => Promise<void>;
};

const TIMEOUT_MS = 10_000;
/** A write that takes longer is told to people, where the election timeout is shorter. Milliseconds. */
const SLOW_WRITE_MS = 2_000;

/**
 * Opens this member's log and takes part in its tier. A member that is the only voter leads when this
 * resolves; others look for a leader then.
 * @throws ClusterduckError as `LogStorage.open`, CONFIG_INVALID for the timing.
 */
export async function openRaftLog(options: RaftLogOptions): Promise<RaftLog> {
  const { memberId, clusterId, clock, logger, disk = realDisk, timing = RAFT_TIMING_DEFAULTS } = options;
  const ticks = ticksOf(timing);
  const storage = await LogStorage.open({
    directory: options.dir,
    memberId,
    clusterId,
    disk,
    clock,
    logger,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
    ...(options.reserveBytes === undefined ? {} : { reserveBytes: options.reserveBytes }),
  });
  try {
    const restored = await restoredState(storage, options);
    await options.onStored?.();
    const { heartbeatTicks, electionTicks } = ticks;
    const config = { ...RAFT_DEFAULTS, ...options.limits, heartbeatTicks, electionTicks };
    const core = new RaftCore({ ...config, id: memberId, random: options.random }, restored);
    const { term, commit } = core;
    const members = voterIds(core.membership);
    const log = new LogOverRaft({
      memberId,
      core,
      storage,
      diskWatch: new DiskWatch({
        directory: options.dir,
        slowAfterMs: Math.max(SLOW_WRITE_MS, timing.electionMs),
        clock,
      }),
      transport: options.transport ?? noTransport,
      clock,
      logger,
      ticks,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    });
    logger.info("log.opened", {
      directory: options.dir,
      term,
      commit,
      snapshot: storage.base.index,
      members,
    });
    await log.begun();
    return log;
  } catch (thrown) {
    await storage.close();
    throw thrown;
  }
}
