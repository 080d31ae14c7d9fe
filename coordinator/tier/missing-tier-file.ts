import { join } from "node:path";
import { ClusterduckError } from "../../common/errors.js";
import { realDisk } from "../log/storage/disk.js";
import { newestMembers, readNewestMembers } from "../log/storage/newest-members.js";
import { readDirectory } from "../log/storage/read-directory.js";
import { listed } from "../state/state.js";
import { TIER_FILE } from "./tier-file.js";

/**
 * What a log says of the tier that its coordinator is of, where no `tier.json` stands beside it:
 * "alone": there is nobody else, as for one that stood alone, or that a snapshot was restored for;
 * "member": there are others, by the log, or it waits to be told who they are;
 * "unfit": the log is damaged, or another coordinator's, which whoever opens it tells better.
 */
type Standing =
  | { readonly kind: "alone" | "unfit" }
  | { readonly kind: "member"; readonly clusterId: string; readonly others: readonly string[] };

/**
 * A member without its `tier.json` would begin a new incarnation by itself, which those it belongs to refuse, so it
 * does not start. For a directory that has no such file.
 * @returns whether the log can be opened as this coordinator's, as far as it was looked at.
 * @throws ClusterduckError LOG_CORRUPT with the remedies; DISK_FAILED, VERSION_UNSUPPORTED.
 */
export async function assertTierFileNotLost(id: string, directory: string): Promise<boolean> {
  const standing = await standingIn(id, directory);
  if (standing.kind === "member") throw tierFileLost(id, directory, standing);
  return standing.kind === "alone";
}

async function standingIn(id: string, directory: string): Promise<Standing> {
  const { replay, snapshots } = await readDirectory(realDisk, directory);
  if (replay.identity === null && replay.damage === null) return { kind: "alone" };
  if (replay.damage !== null || replay.identity?.memberId !== id) return { kind: "unfit" };
  // The snapshot is read only where no entry after it names the members.
  const named = newestMembers([], replay.entries);
  const members = named.length > 0 || snapshots.length === 0 ? named : await readNewestMembers(directory);
  if (members === null) return { kind: "unfit" };
  const { clusterId } = replay.identity;
  const others = members.filter((member) => member.id !== id).map((member) => member.id);
  const isWaiting = members.length === 0 && clusterId !== "";
  return others.length > 0 || isWaiting ? { kind: "member", clusterId, others } : { kind: "alone" };
}

function tierFileLost(
  id: string,
  directory: string,
  { clusterId, others }: Extract<Standing, { kind: "member" }>,
): ClusterduckError {
  const path = join(directory, TIER_FILE);
  const tier = clusterId === "" ? "a tier" : `tier ${clusterId}`;
  const members = others.length === 0 ? "" : ` with ${listed(others)}`;
  return new ClusterduckError(
    "LOG_CORRUPT",
    `Cannot start coordinator "${id}": "${path}" is missing, which says in which incarnation of ${tier} it is a member, ` +
      `and by its log it is one${members}`,
    {
      hint:
        `Put "${TIER_FILE}" of this coordinator back from a backup. Or, on another member: duckctl coordinators remove ${id}; ` +
        `then move "${directory}" away, give this one another coordinator.id and let it join: duckctl coordinators add ID. ` +
        "Only when the others are lost for good: duck-coordinator recover-quorum",
    },
  );
}
