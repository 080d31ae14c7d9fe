import type { Clock } from "../../common/clock.js";
import type { ProxyTargetConfig } from "../../common/config/model.js";
import type { ApplyOutcome, Bundle } from "../applier.js";
import type { Blind } from "./blind.js";
import type { Desired } from "./desired.js";
import { masterOf } from "./master-process.js";
import type { ApplierMemory, MemoryStore } from "./memory.js";
import type { ProxyLink, Sight } from "./proxy-link.js";

/* What writing the file and loading it share: what they work with, what they remember and what they answer. */

export type Result = Pick<
  ApplyOutcome,
  "method" | "appliedGeneration" | "observedGeneration" | "error" | "warnings"
>;

export type ChangeTools = {
  readonly target: ProxyTargetConfig;
  readonly store: MemoryStore;
  readonly link: ProxyLink;
  readonly clock: Clock;
  /** When this process last reloaded, monotonic milliseconds. */
  readonly reloads: { lastMs: number | null };
  readonly hasNewer: () => boolean;
};

export type Change = {
  readonly bundle: Bundle;
  readonly memory: ApplierMemory;
  readonly onDisk: string | null;
  readonly desired: Extract<Desired, { kind: "composed" }>;
  readonly signal: AbortSignal;
};

/** Secrets may stand in it, and HAProxy reads it as root or as the group of its directory. */
export const NEW_FILE_MODE = 0o640;

/** Keeps that the proxy took this content, and from whom we know. */
export async function remember(
  tools: ChangeTools,
  change: Change,
  validated: string,
  sight: Sight,
  blind: Blind | null = null,
): Promise<void> {
  const { memory, bundle, desired } = change;
  const loaded = {
    checksum: desired.checksum,
    structure: desired.facts.structure,
    ...(await processesOf(tools, sight, blind)),
  };
  const next = { ...memory, fencing: bundle.fencing, validated, loaded, adopted: adoptedOf(change) };
  if (JSON.stringify(next) !== JSON.stringify(memory)) await tools.store.save(next);
}

export function adoptedOf({ desired, memory }: Change): string[] | null {
  return desired.adopted === null ? memory.adopted : [...desired.adopted];
}

/** The worker that was seen; its master too where nothing but HAProxy's own answer would tell of it. */
export async function processesOf(
  { target }: ChangeTools,
  sight: Sight,
  blind: Blind | null,
): Promise<Pick<NonNullable<ApplierMemory["loaded"]>, "worker" | "master">> {
  if (sight.kind === "unseen") return { worker: null, master: blind?.master ?? null };
  const { worker } = sight.running;
  return { worker, master: target.reload.kind === "command" ? await masterOf(worker) : null };
}

export function done(
  bundle: Bundle,
  method: Result["method"],
  sight: Sight,
  isCurrent: boolean,
  warnings: readonly string[],
): Result {
  const observedGeneration = isCurrent && sight.kind === "seen" ? bundle.generation : "";
  const notes = sight.kind === "seen" && sight.note !== "" ? [...warnings, sight.note] : warnings;
  return { method, appliedGeneration: bundle.generation, observedGeneration, error: "", warnings: notes };
}

export function nothing(error: string): Result {
  return { method: "refused", appliedGeneration: "", observedGeneration: "", error, warnings: [] };
}
