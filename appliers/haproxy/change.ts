import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";

import type { ProxyTargetConfig } from "../../common/config/model.js";
import { probeNewBinds } from "./bind-probe.js";
import { blindnessOf, blindWarning, unprovenError } from "./blind.js";
import type { Blind } from "./blind.js";
import { adoptedOf, done, NEW_FILE_MODE, nothing, remember } from "./change-parts.js";
import type { Change, ChangeTools, Result } from "./change-parts.js";
import { checksumOf, readDisk } from "./desired.js";
import { load } from "./load.js";
import type { Sight } from "./proxy-link.js";
import { stageFile } from "./replace-file.js";
import { runningStructure } from "./running-structure.js";
import { serverKey } from "./runtime.js";
import { readConfiguration } from "./server-lines.js";
import type { OwnedServer } from "./server-lines.js";
import { validateConfiguration } from "./validate.js";
import type { Validation } from "./validate.js";

/** Longer than the largest file takes that is known to us (10,000 servers: 1.1 s). */
const VALIDATION_PATIENCE_MS = 5_000;
const NEWER_POLL_MS = 50;

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
  const blind = await blindnessOf(sight, target.reload, change.memory);
  if (isSame && hasLoaded && blind !== null) {
    const known = await loadedBefore(tools, change, sight, blind);
    if (known !== null) return known;
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
  return load(tools, change, { validated, warnings, sight, removed, blind });
}

/** The file was loaded while HAProxy could be asked, or blindly: no second reload. Null when HAProxy has ended since. */
async function loadedBefore(
  tools: ChangeTools,
  change: Change,
  sight: Sight,
  blind: Blind,
): Promise<Result | null> {
  const { bundle, memory } = change;
  const unchanged = done(bundle, "unchanged", sight, false, []);
  if (blind.master !== null) {
    await remember(tools, change, memory.validated, sight, blind);
    return { ...unchanged, warnings: [blindWarning(blind)] };
  }
  const isUnproven = memory.loaded?.worker === null && memory.loaded.master === null;
  if (!isUnproven || tools.target.reload.kind !== "command") return null;
  await remember(tools, change, memory.validated, sight, blind);
  return { ...unchanged, error: unprovenError(blind) };
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
        validate(tools, change, staged.temporaryPath),
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

/** A validator that hangs must not keep a newer change waiting: what that can do without a file is done first. */
async function validate(
  { target, clock, hasNewer }: ChangeTools,
  { signal, bundle }: Change,
  temporaryPath: string,
): Promise<Validation> {
  const ended = new AbortController();
  const isTooLong = new AbortController();
  const watch = async (): Promise<void> => {
    await clock.sleep(VALIDATION_PATIENCE_MS, ended.signal);
    while (!ended.signal.aborted && !hasNewer()) await clock.sleep(NEWER_POLL_MS, ended.signal);
    if (!ended.signal.aborted) isTooLong.abort();
  };
  const watching = watch();
  const validation = await validateConfiguration({
    ...target,
    temporaryPath,
    signal: AbortSignal.any([signal, isTooLong.signal]),
  });
  ended.abort();
  await watching;
  if (!isTooLong.signal.aborted || validation.kind === "valid") return validation;
  const seconds = VALIDATION_PATIENCE_MS / 1_000;
  const problem = `"${target.program} -c" took more than ${seconds} s for generation ${bundle.generation} while a newer one waited: see what keeps it`;
  return { kind: "invalid", problem };
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

function fenceNote(sight: Sight): readonly string[] {
  if (sight.kind === "unseen" || sight.commands === 0) return [];
  return [`The file stays as it was; ${sight.commands} server states were changed in the running HAProxy`];
}
