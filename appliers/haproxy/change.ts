import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";

import type { Clock } from "../../common/clock.js";
import type { ProxyTargetConfig } from "../../common/config/model.js";
import { markerOf } from "../../common/model/generation.js";
import type { ApplyOutcome, Bundle } from "../applier.js";
import { probeNewBinds } from "./bind-probe.js";
import { checksumOf, readDisk } from "./desired.js";
import type { Desired } from "./desired.js";
import type { ApplierMemory, MemoryStore } from "./memory.js";
import type { ProxyLink, Sight } from "./proxy-link.js";
import { reload } from "./reload.js";
import type { ReloadOutcome } from "./reload.js";
import { stageFile } from "./replace-file.js";
import { runningStructure } from "./running-structure.js";
import { serverKey } from "./runtime.js";
import { readConfiguration } from "./server-lines.js";
import type { OwnedServer } from "./server-lines.js";
import { validateConfiguration } from "./validate.js";

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
const NEW_FILE_MODE = 0o640;

/** Makes one change, from the sockets to the file to the reload. @throws ClusterduckError DISK_FAILED. */
export async function changeProxy(tools: ChangeTools, change: Change): Promise<Result> {
  const { link, target, store } = tools;
  const { bundle, onDisk, desired } = change;
  const disk = onDisk === null ? null : factsOf(onDisk, change);
  const removed = removedServers(disk?.servers ?? [], desired.facts.servers);

  const sight = await link.bring(desired.facts.servers, removed);
  const isCurrent = isLoaded(sight, change, disk);
  const isSame = onDisk === desired.text;
  const hasLoaded = change.memory.loaded?.checksum === desired.checksum;
  if (isSame && (isCurrent || (!link.canAsk && (hasLoaded || target.reload.kind === "none")))) {
    const didCommand = sight.kind === "seen" && sight.commands > 0;
    await remember(tools, change, change.memory.validated, sight);
    return done(bundle, didCommand ? "runtime" : "unchanged", sight, isCurrent, []);
  }

  let warnings: readonly string[] = [];
  let validated = change.memory.validated;
  if (!isSame) {
    const written = await write(tools, change, isCurrent);
    if (written.kind === "refused") {
      const applied = readDisk(onDisk, desired.owned, change.memory).generation;
      return { ...nothing(written.problem), appliedGeneration: applied, warnings: fenceNote(sight) };
    }
    ({ warnings, validated } = written);
  }
  if (isCurrent) {
    await Promise.all([remember(tools, change, validated, sight), store.saveLastGood(desired.text)]);
    return done(bundle, "runtime", sight, true, warnings);
  }
  return load(tools, change, { validated, warnings, sight, removed });
}

function factsOf(
  text: string,
  { desired, memory }: Change,
): { checksum: string; structure: string; generation: string; servers: readonly OwnedServer[] } {
  const facts = readConfiguration(text, desired.owned);
  return {
    ...facts,
    checksum: checksumOf(text),
    generation: readDisk(text, desired.owned, memory).generation,
  };
}

function removedServers(
  before: readonly OwnedServer[],
  after: readonly OwnedServer[],
): readonly OwnedServer[] {
  const kept = new Set(after.map(serverKey));
  return before.filter((server) => !kept.has(serverKey(server)));
}

function isLoaded(
  sight: Sight,
  { memory, desired }: Change,
  disk: ReturnType<typeof factsOf> | null,
): boolean {
  if (sight.kind === "unseen" || !sight.isMatched) return false;
  return runningStructure(sight.running, { memory, owned: desired.owned, disk }) === desired.facts.structure;
}

type Written =
  | { readonly kind: "written"; readonly warnings: readonly string[]; readonly validated: string }
  | { readonly kind: "refused"; readonly problem: string };

/** Validates and replaces the file. Nothing is replaced when HAProxy would refuse it. */
async function write(tools: ChangeTools, change: Change, needsNoReload: boolean): Promise<Written> {
  const { target, store } = tools;
  const { desired, memory, bundle, onDisk } = change;
  const key = await validationKey(desired.facts.structure, target);
  const staged = await stageFile(target.path, desired.text, NEW_FILE_MODE);
  const warnings = [...staged.warnings];
  try {
    // Weight and `disabled` of our own lines are typed values: a structure that has passed needs no second look.
    if (key !== memory.validated) {
      const [validation, bindProblem] = await Promise.all([
        validateConfiguration({ ...target, temporaryPath: staged.temporaryPath, signal: change.signal }),
        needsNoReload || desired.owned === "markers" ? null : bindProblemOf(tools, desired.text, onDisk),
      ]);
      const problem = validation.kind === "invalid" ? validation.problem : bindProblem;
      if (problem !== null) {
        await staged.discard();
        return { kind: "refused", problem };
      }
      if (validation.kind === "valid") warnings.push(...validation.warnings);
    }
    if (change.signal.aborted) {
      await staged.discard();
      return { kind: "refused", problem: `Applying generation ${bundle.generation} was cancelled` };
    }
    await store.save({ ...memory, fencing: bundle.fencing, validated: key, adopted: adoptedOf(change) });
  } catch (thrown) {
    await staged.discard();
    throw thrown;
  }
  await staged.commit();
  return { kind: "written", warnings, validated: key };
}

async function bindProblemOf(
  { store }: ChangeTools,
  text: string,
  onDisk: string | null,
): Promise<string | null> {
  // Ports of the last good file are HAProxy's own, even when somebody has removed the file meanwhile.
  const lastGood = (await store.loadLastGood()) ?? "";
  return probeNewBinds(text, `${onDisk ?? ""}\n${lastGood}`);
}

/** Changes whenever an earlier pass of the validator no longer stands for this content. */
async function validationKey(structure: string, { program, extraFiles }: ProxyTargetConfig): Promise<string> {
  const hash = createHash("sha256").update(`${structure}\n${program}\n`);
  for (const file of extraFiles) {
    const found = await stat(file).catch(() => null);
    hash.update(`${file} ${found?.ino} ${found?.size} ${found?.mtimeMs}\n`);
  }
  return hash.digest("hex");
}

type Loading = {
  readonly validated: string;
  readonly warnings: readonly string[];
  readonly sight: Sight;
  readonly removed: readonly OwnedServer[];
};

/** Reloads, proves it, and puts the last good file back when HAProxy refuses. */
async function load(tools: ChangeTools, change: Change, loading: Loading): Promise<Result> {
  const { target, link, store } = tools;
  const { bundle, desired } = change;
  if (!(await waitForTurn(tools, change.signal))) {
    const problem = "A newer generation, or the end, came before its turn to reload";
    return { ...nothing(problem), appliedGeneration: bundle.generation, warnings: loading.warnings };
  }
  const outcome = await reloadNow(tools, change.signal);
  if (outcome.kind === "skipped") {
    return done(bundle, "unchanged", loading.sight, false, loading.warnings);
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
  const sight = await link.bring(desired.facts.servers, []);
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
): Promise<ReloadOutcome> {
  reloads.lastMs = clock.monotonicMs();
  return reload(target.reload, { clock, signal, worker: () => link.worker() });
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
  const outcome = await reloadNow(tools, change.signal);
  // The old file knows nothing of what was decided since: what can be had without a reload still holds.
  const sight = await link.bring(desired.facts.servers, loading.removed);
  const facts = readConfiguration(good, desired.owned);
  const loaded =
    outcome.kind === "reloaded"
      ? { checksum: checksumOf(good), structure: facts.structure, worker: workerOf(sight) }
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

async function remember(
  { store }: ChangeTools,
  change: Change,
  validated: string,
  sight: Sight,
): Promise<void> {
  const { memory, bundle, desired } = change;
  const loaded = {
    checksum: desired.checksum,
    structure: desired.facts.structure,
    worker: workerOf(sight),
  };
  const next = { ...memory, fencing: bundle.fencing, validated, loaded, adopted: adoptedOf(change) };
  if (JSON.stringify(next) !== JSON.stringify(memory)) await store.save(next);
}

function adoptedOf({ desired, memory }: Change): string[] | null {
  return desired.adopted === null ? memory.adopted : [...desired.adopted];
}

function workerOf(sight: Sight): string | null {
  return sight.kind === "seen" ? sight.running.worker : null;
}

function fenceNote(sight: Sight): readonly string[] {
  if (sight.kind === "unseen" || sight.commands === 0) return [];
  return [`The file stays as it was; ${sight.commands} server states were changed in the running HAProxy`];
}

function done(
  bundle: Bundle,
  method: Result["method"],
  sight: Sight,
  isCurrent: boolean,
  warnings: readonly string[],
): Result {
  const observedGeneration = isCurrent && sight.kind === "seen" ? bundle.generation : "";
  return { method, appliedGeneration: bundle.generation, observedGeneration, error: "", warnings };
}

function nothing(error: string): Result {
  return { method: "refused", appliedGeneration: "", observedGeneration: "", error, warnings: [] };
}
