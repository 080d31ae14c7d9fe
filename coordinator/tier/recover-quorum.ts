/**
 * The way out when a majority of the coordinators is lost for good: a new beginning from the survivor that
 * has the most. Whatever only the lost ones had acknowledged is gone.
 */
import { resolve } from "node:path";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { LogPosition } from "../log/replicated-log.js";
import { realDisk } from "../log/storage/disk.js";
import { LogStorage } from "../log/storage/log-storage.js";
import { newestMembers } from "../log/storage/newest-members.js";
import { termBeyond } from "../log/storage/term-beyond.js";
import { verifyLog } from "../log/storage/verify.js";
import { isAtLeastAsRecent } from "../raft/entry.js";
import { encodeMembership } from "../raft/membership.js";
import type { Membership } from "../raft/membership.js";
import { beginIncarnation, readTierFile } from "./tier-file.js";

export type Survivor = {
  readonly directory: string;
  readonly coordinatorId: string;
  readonly clusterId: string;
  /** The last term it took part in. */
  readonly term: number;
  readonly last: LogPosition;
  /** Why it cannot be used; null: it can. */
  readonly problem: string | null;
};

/** Reads what each directory holds, and changes nothing. @throws ClusterduckError DISK_FAILED. */
export async function readSurvivors(directories: readonly string[]): Promise<readonly Survivor[]> {
  const unique = [...new Set(directories.map((directory) => resolve(directory)))];
  return Promise.all(unique.map(readSurvivor));
}

/** The one whose log holds everything that any of them holds. Null: none can be used. */
export function bestOf(survivors: readonly Survivor[]): Survivor | null {
  const usable = survivors.filter(({ problem }) => problem === null);
  return usable.reduce<Survivor | null>(
    (best, each) => (best === null || !isAtLeastAsRecent(best.last, each.last) ? each : best),
    null,
  );
}

/**
 * Makes a survivor the only member of its tier, which goes on from its log as another incarnation: those who were
 * only cut off, and come back, have no part in it. Nothing is taken away from the log.
 * @throws ClusterduckError LOG_LOCKED while it runs, LOG_CORRUPT, DISK_FULL, DISK_FAILED.
 */
export async function beginAgain(
  survivor: Pick<Survivor, "directory" | "coordinatorId" | "clusterId">,
  options: { readonly address: string; readonly clock: Clock; readonly logger: Logger },
): Promise<{ readonly last: LogPosition; readonly lost: readonly string[] }> {
  const { directory, coordinatorId, clusterId } = survivor;
  const storage = await LogStorage.open({
    directory,
    memberId: coordinatorId,
    clusterId,
    disk: realDisk,
    clock: options.clock,
    logger: options.logger,
  });
  try {
    const term = termBeyond(storage.hardState.term, storage.last.term);
    const index = storage.last.index + 1;
    const alone: Membership = [{ id: coordinatorId, role: "voter", address: options.address }];
    const members = newestMembers(storage.membership, storage.entries);
    const lost = members.filter(({ id }) => id !== coordinatorId).map(({ id }) => id);
    // First: who has the new log must not meet those that go on with the old one.
    await beginIncarnation(directory);
    await storage.append({
      entries: [{ index, term, kind: "members", payload: encodeMembership(alone) }],
      // What this log holds is all that is left, so all of it counts.
      hardState: { term, vote: coordinatorId, commit: index },
    });
    return { last: { index, term }, lost };
  } finally {
    await storage.close();
  }
}

async function readSurvivor(directory: string): Promise<Survivor> {
  const file = await readTierFile(directory);
  const report = await verifyLog(directory);
  const { term, last, damages, memberId } = report;
  const damage = damages[0];
  const problem =
    last.index === 0
      ? "its log is empty"
      : damage === undefined
        ? null
        : `damaged: ${damage.file} at offset ${damage.offset}`;
  return {
    directory,
    // A directory that a snapshot was restored into has no file yet.
    coordinatorId: file?.coordinatorId ?? memberId,
    clusterId: file?.clusterId ?? "",
    term,
    last,
    problem,
  };
}

/** @throws ClusterduckError INVALID_ARGUMENT when the directories are not of one tier. */
export function assertOneTier(survivors: readonly Survivor[]): void {
  const ids = [...new Set(survivors.flatMap(({ clusterId }) => (clusterId === "" ? [] : [clusterId])))];
  if (ids.length <= 1) return;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `The directories belong to ${ids.length} tiers: ${ids.join(", ")}`,
    {
      hint: "Name the data directories of one tier's coordinators",
    },
  );
}
