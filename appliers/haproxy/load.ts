import { markerOf } from "../../common/model/generation.js";
import { blindWarning, unprovenError } from "./blind.js";
import type { Blind } from "./blind.js";
import { adoptedOf, done, NEW_FILE_MODE, nothing, processesOf, remember } from "./change-parts.js";
import type { Change, ChangeTools, Result } from "./change-parts.js";
import { checksumOf, readDisk } from "./desired.js";
import { newestWorkerOf } from "./master-process.js";
import type { Sight } from "./proxy-link.js";
import { reload } from "./reload.js";
import type { ReloadOutcome } from "./reload.js";
import { stageFile } from "./replace-file.js";
import { readConfiguration } from "./server-lines.js";
import type { OwnedServer } from "./server-lines.js";

/** HAProxy from 3.1 on forks its new worker before that has read the file: one that fails ends within moments. */
const SETTLE_MS = 500;
/** How long an old worker may still answer on the stats socket after the new one has; and how often to ask again. */
const TOGETHER_MS = 2_000;
const TOGETHER_POLL_MS = 10;

export type Loading = {
  readonly validated: string;
  readonly warnings: readonly string[];
  readonly sight: Sight;
  readonly removed: readonly OwnedServer[];
  readonly blind: Blind | null;
};

/** Reloads, proves it, and puts the last good file back when HAProxy refuses. */
export async function load(tools: ChangeTools, change: Change, loading: Loading): Promise<Result> {
  const { target, link, store } = tools;
  const { bundle, desired } = change;
  if (!(await waitForTurn(tools, change.signal))) {
    const problem = "A newer generation, or the end, came before its turn to reload";
    return { ...nothing(problem), appliedGeneration: bundle.generation, warnings: loading.warnings };
  }
  const outcome = await reloadNow(tools, change.signal, loading.blind);
  if (outcome.kind === "skipped") {
    const result = done(bundle, "unchanged", loading.sight, false, loading.warnings);
    return link.canAsk ? { ...result, error: notYetLoaded(loading.sight, target) } : result;
  }
  if (outcome.kind === "notRunning") {
    return {
      ...nothing(outcome.problem),
      appliedGeneration: bundle.generation,
      method: "reload",
      warnings: loading.warnings,
    };
  }
  if (outcome.kind === "rejected") return restore(tools, change, loading, outcome.problem);

  // A server state file, or a command given before, may differ from what the file says.
  const sight = await bringNewWorker(tools, change, loading.sight);
  if (sight.kind === "unseen" && loading.blind !== null) {
    return loadedBlindly(tools, change, { ...loading, blind: loading.blind }, outcome.isProven);
  }
  if (sight.kind === "unseen" && link.canAsk) {
    return restore(tools, change, loading, `HAProxy does not answer after the reload: ${sight.problem}`);
  }
  const isOurs =
    desired.owned === "markers" ||
    sight.kind === "unseen" ||
    sight.running.marker === markerOf(bundle.generation);
  const isCurrent = sight.kind === "seen" && sight.isMatched && isOurs;
  if (isCurrent || !link.canAsk) {
    await Promise.all([remember(tools, change, loading.validated, sight), store.saveLastGood(desired.text)]);
  }
  const result = done(bundle, "reload", sight, isCurrent, loading.warnings);
  if (!isOurs) {
    const error = `HAProxy reloaded, but not this file: is it started with "-f ${target.path}"?`;
    return { ...result, error };
  }
  if (sight.kind === "seen" && !isCurrent) {
    return { ...result, error: `HAProxy reloaded, but differs from the file: ${sight.difference}` };
  }
  return outcome.isProven || link.canAsk
    ? result
    : {
        ...result,
        warnings: [
          ...result.warnings,
          "The reload cannot be proven: configure a stats socket or master socket",
        ],
      };
}

/** Old and new worker share the stats socket for a moment, and either may answer. */
async function bringNewWorker(
  { link, clock }: ChangeTools,
  { desired }: Change,
  before: Sight,
): Promise<Sight> {
  const oldWorker = before.kind === "seen" ? before.running.worker : null;
  const deadlineMs = clock.monotonicMs() + TOGETHER_MS;
  for (;;) {
    const sight = await link.bring(desired.facts.servers, []);
    const isOld = sight.kind === "seen" && oldWorker !== null && sight.running.worker === oldWorker;
    if (!isOld || clock.monotonicMs() >= deadlineMs) return sight;
    await clock.sleep(TOGETHER_POLL_MS);
  }
}

/** With `reload: none` only an operator makes HAProxy take a file. */
function notYetLoaded(sight: Sight, { path }: ChangeTools["target"]): string {
  const why = sight.kind === "unseen" ? sight.problem : sight.difference || "it runs an older file";
  return `"${path}" is written, but HAProxy does not run it yet (${why}): reload HAProxy by hand, because "reload" is none`;
}

/** Neither before the reload nor after it could HAProxy be asked: its processes are the proof, or there is none. */
async function loadedBlindly(
  tools: ChangeTools,
  change: Change,
  { validated, warnings, sight, blind }: Loading & { readonly blind: Blind },
  isProven: boolean,
): Promise<Result> {
  await remember(tools, change, validated, sight, blind);
  const result = done(change.bundle, "reload", sight, false, warnings);
  if (!isProven) return { ...result, error: unprovenError(blind) };
  await tools.store.saveLastGood(change.desired.text);
  return { ...result, warnings: [...warnings, blindWarning(blind)] };
}

/** Keeps to the rate; false when a newer bundle has come meanwhile, which then reloads for both. */
async function waitForTurn(
  { target, clock, reloads, hasNewer }: ChangeTools,
  signal: AbortSignal,
): Promise<boolean> {
  const dueMs = reloads.lastMs === null ? 0 : reloads.lastMs + target.reloadEveryMs;
  const restMs = dueMs - clock.monotonicMs();
  if (restMs <= 0) return true;
  await clock.sleep(restMs, signal);
  return !signal.aborted && !hasNewer();
}

async function reloadNow(
  { target, clock, link, reloads }: ChangeTools,
  signal: AbortSignal,
  blind: Blind | null,
): Promise<ReloadOutcome> {
  reloads.lastMs = clock.monotonicMs();
  const master = blind?.master ?? null;
  return reload(target.reload, {
    clock,
    signal,
    worker: () => (master === null ? link.worker() : newestWorkerOf(master)),
    settleMs: master === null ? 0 : SETTLE_MS,
  });
}

async function restore(
  tools: ChangeTools,
  change: Change,
  loading: Loading,
  problem: string,
): Promise<Result> {
  const { target, store, link } = tools;
  const { desired, memory, onDisk } = change;
  const warnings = loading.warnings;
  const good = await lastGoodOf(tools, change);
  if (good === null || good === desired.text) {
    const error = `${problem}; there is no earlier file to put back`;
    return { ...nothing(error), appliedGeneration: change.bundle.generation, method: "reload", warnings };
  }
  const staged = await stageFile(target.path, good, NEW_FILE_MODE);
  await staged.commit();
  // The master waits with a dead configuration until it gets a good one.
  const outcome = await reloadNow(tools, change.signal, loading.blind);
  // The old file knows nothing of what was decided since: what can be had without a reload still holds.
  const sight = await link.bring(desired.facts.servers, loading.removed);
  const facts = readConfiguration(good, desired.owned);
  const loaded =
    outcome.kind === "reloaded"
      ? {
          checksum: checksumOf(good),
          structure: facts.structure,
          ...(await processesOf(tools, sight, loading.blind)),
        }
      : memory.loaded;
  // Adopted lines may stand in the file again, so what was known of them stays known.
  await store.save({
    ...memory,
    fencing: change.bundle.fencing,
    validated: "",
    loaded,
    adopted: adoptedOf(change),
  });
  const applied = readDisk(good, desired.owned, memory).generation;
  const what = good === onDisk ? "the file before it" : "the last good file";
  return {
    ...nothing(`${problem}; ${what} was put back`),
    appliedGeneration: applied,
    method: "restored",
    warnings,
  };
}

/** In a user's own file only what we just replaced may come back: everything else in it is the user's. */
async function lastGoodOf(
  { store }: ChangeTools,
  { onDisk, memory, desired }: Change,
): Promise<string | null> {
  if (desired.owned === "markers") return onDisk;
  if (onDisk !== null && memory.loaded?.checksum === checksumOf(onDisk)) return onDisk;
  return (await store.loadLastGood()) ?? onDisk;
}
