import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { Founder } from "./founding.js";

/** What a data directory knows of the tier it belongs to, beside the log. */
export type TierFile = {
  readonly coordinatorId: string;
  /** Made once for this directory: whoever has another one has lost this one's promises. */
  readonly diskId: string;
  /** The list that this coordinator has promised to found a tier with, and no other; null: none. */
  readonly promised: readonly Founder[] | null;
  /** Empty before it belongs to a tier. */
  readonly clusterId: string;
  /**
   * Which beginning of the tier it belongs to: a new one is made where a quorum is given up or a snapshot restored,
   * so that those who go on as they were take no part in it. Empty: the first.
   */
  readonly incarnation: string;
  /** Those it founded the tier with; empty for one that joined. */
  readonly founders: readonly Founder[];
  /** It has had a log, and may have promised something: none means that the log was lost. */
  readonly hasLog: boolean;
};

export const TIER_FILE = "tier.json";
const FORMAT = "clusterduck-tier";
const VERSION = 1;

export function newTierFile(coordinatorId: string): TierFile {
  return {
    coordinatorId,
    diskId: randomUUID(),
    promised: null,
    clusterId: "",
    incarnation: "",
    founders: [],
    hasLog: false,
  };
}

export function newIncarnation(): string {
  return randomBytes(8).toString("hex");
}

/**
 * From now on the others of the tier refuse this directory's coordinator, as it does them. Nothing to do where the
 * directory has no file: whoever opens a log without one, and is the only member by it, begins anew in any case.
 * Durable when it resolves.
 * @throws ClusterduckError DISK_FAILED, LOG_CORRUPT, VERSION_UNSUPPORTED.
 */
export async function beginIncarnation(directory: string): Promise<void> {
  const file = await readTierFile(directory);
  if (file !== null) await writeTierFile(directory, { ...file, incarnation: newIncarnation() });
}

/**
 * As `beginIncarnation`, for a directory that goes on with the tier of a snapshot, whichever it belonged to before.
 * @param clusterId of the snapshot; empty: the state in it tells.
 * @throws ClusterduckError as `beginIncarnation`.
 */
export async function beginTierOf(clusterId: string, directory: string): Promise<void> {
  const file = await readTierFile(directory);
  if (file === null) return;
  const beginning = { clusterId, incarnation: newIncarnation(), founders: [], promised: null };
  await writeTierFile(directory, { ...file, ...beginning });
}

/** Null: there is none. @throws ClusterduckError LOG_CORRUPT, VERSION_UNSUPPORTED, DISK_FAILED. */
export async function readTierFile(directory: string): Promise<TierFile | null> {
  const path = join(directory, TIER_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new ClusterduckError("DISK_FAILED", `Cannot read "${path}": ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  return parse(text, path);
}

/** Durable when it resolves. @throws ClusterduckError DISK_FAILED. */
export async function writeTierFile(directory: string, file: TierFile): Promise<void> {
  const path = join(directory, TIER_FILE);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const text = `${JSON.stringify({ format: FORMAT, version: VERSION, ...file }, null, 2)}\n`;
    await writeFileAtomic(path, text, { mode: 0o600 });
    // The rename itself must survive a crash too.
    const handle = await open(directory, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    throw new ClusterduckError("DISK_FAILED", `Cannot write "${path}": ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
}

function parse(text: string, path: string): TierFile {
  const fail = (problem: string): ClusterduckError =>
    new ClusterduckError("LOG_CORRUPT", `Cannot read "${path}": ${problem}`, {
      hint: "If the other coordinators are well, remove this one and let a new one join: docs/how-to/tier.md",
    });
  let read: Partial<TierFile> & { readonly format?: unknown; readonly version?: unknown };
  try {
    read = JSON.parse(text) as typeof read;
  } catch (thrown) {
    throw fail(messageOf(thrown));
  }
  if (read.format !== FORMAT) throw fail(`its format is ${JSON.stringify(read.format)}, not "${FORMAT}"`);
  if (read.version !== VERSION) {
    throw new ClusterduckError(
      "VERSION_UNSUPPORTED",
      `Cannot read "${path}": it has version ${JSON.stringify(read.version)}, this program reads ${VERSION}`,
      { hint: "A newer version of clusterduck wrote it: start that version here" },
    );
  }
  const { coordinatorId, diskId, promised, clusterId, incarnation, founders, hasLog } = read;
  if (typeof coordinatorId !== "string" || typeof diskId !== "string" || diskId === "")
    throw fail("it does not say whose it is");
  return {
    coordinatorId,
    diskId,
    promised: promised ?? null,
    clusterId: clusterId ?? "",
    incarnation: incarnation ?? "",
    founders: founders ?? [],
    hasLog: hasLog === true,
  };
}
