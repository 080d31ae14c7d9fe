import type { Clock } from "../../common/clock.js";
import type { ProxyTargetConfig } from "../../common/config/model.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { Applier, ApplierFactory, ApplyOutcome, Bundle } from "../applier.js";
import { blindnessOf } from "./blind.js";
import { checksumOf, compose, readDisk } from "./desired.js";
import { fileOwner } from "./file-owner.js";
import { memoryStore } from "./memory.js";
import type { ApplierMemory } from "./memory.js";
import { isOlder, newestWins } from "./newest-wins.js";
import { createProxyLink } from "./proxy-link.js";
import { readOrNull } from "./replace-file.js";
import { changeProxy } from "./change.js";
import type { Result } from "./change-parts.js";
import { readConfiguration } from "./server-lines.js";
import { runningStructure } from "./running-structure.js";

export type HaproxyApplierOptions = {
  readonly balancer: string;
  readonly target: ProxyTargetConfig;
  readonly mode: "file" | "include" | "marker";
  /** Directory for what must survive a restart: fencing, the last good file. */
  readonly stateDir: string;
  readonly clock: Clock;
};

export function haproxyApplierFactory(options: {
  readonly stateDir: string;
  readonly clock: Clock;
}): ApplierFactory {
  return (proxy) => createHaproxyApplier({ ...options, ...proxy });
}

/**
 * Applies bundles to one HAProxy. The order of things: what needs no reload is done first, over a socket,
 * because it takes a millisecond; then the file is validated and replaced; then HAProxy is reloaded, if
 * anything changed that only a reload can change; then it is read back.
 */
export function createHaproxyApplier(options: HaproxyApplierOptions): Applier {
  const { balancer, target, clock } = options;
  const store = memoryStore(options.stateDir, balancer, target.path);
  const link = createProxyLink(target);
  const owner = fileOwner(target.path, options.stateDir, clock);
  const reloads = { lastMs: null as number | null };

  async function execute(bundle: Bundle, signal: AbortSignal): Promise<ApplyOutcome> {
    const startedMs = clock.monotonicMs();
    let result: Result;
    try {
      result = await attempt(bundle, signal);
    } catch (thrown) {
      const onDisk = await observe().catch(() => null);
      result = {
        method: "refused",
        appliedGeneration: onDisk?.appliedGeneration ?? "",
        observedGeneration: onDisk?.observedGeneration ?? "",
        error: messageOf(thrown),
        warnings: [],
      };
    }
    return {
      balancer,
      wantedGeneration: bundle.generation,
      ...result,
      durationMs: clock.monotonicMs() - startedMs,
      fencing: bundle.fencing,
    };
  }

  async function attempt(bundle: Bundle, signal: AbortSignal): Promise<Result> {
    const memory = await store.load();
    if (isOlder(bundle.fencing, memory.fencing)) {
      const { term, index } = memory.fencing;
      const message = `Cannot apply generation ${bundle.generation} of term ${bundle.fencing.term}, index ${bundle.fencing.index}: term ${term}, index ${index} was applied already`;
      throw new ClusterduckError("CONFLICT", message);
    }
    const rival = await owner.claim();
    if (rival !== null) throw new ClusterduckError("CONFLICT", rival);
    const onDisk = await readOrNull(target.path).catch(async (thrown: unknown) => {
      await bringWithoutFile(bundle, memory);
      throw thrown;
    });
    const desired = compose(bundle, onDisk, target, memory);
    if (desired.kind === "refused") throw new ClusterduckError("CONFLICT", desired.problem);
    return changeProxy(
      { target, store, link, clock, reloads, hasNewer: () => queue.hasNewer() },
      { bundle, memory, onDisk, desired, signal },
    );
  }

  /** Whatever is wrong with the file: a server that died gets no traffic. Lines within a user's file need that file. */
  async function bringWithoutFile(bundle: Bundle, memory: ApplierMemory): Promise<void> {
    if (options.mode === "marker") return;
    const desired = compose(bundle, null, target, memory);
    if (desired.kind === "composed") await link.bring(desired.facts.servers, []);
  }

  async function observe(): Promise<{
    appliedGeneration: string;
    observedGeneration: string;
    error: string;
  }> {
    try {
      await owner.renew();
      const [memory, onDisk] = await Promise.all([store.load(), readOrNull(target.path)]);
      const owned = options.mode === "marker" || memory.adopted !== null ? "markers" : "all";
      const disk = readDisk(onDisk, owned, memory);
      const appliedGeneration = disk.generation;
      if (onDisk === null || !link.canAsk)
        return { appliedGeneration, observedGeneration: "", error: disk.error };

      const facts = readConfiguration(onDisk, owned);
      const sight = await link.look(facts.servers);
      if (sight.kind === "unseen") {
        // A change has told of it already, as a warning; nothing else is wrong as long as HAProxy runs.
        const blind = await blindnessOf(sight, target.reload, memory);
        const isTold = memory.loaded?.checksum === checksumOf(onDisk) && memory.loaded.worker === null;
        const error = isTold && blind !== null && blind.master !== null ? disk.error : sight.problem;
        return { appliedGeneration, observedGeneration: "", error };
      }
      const structure = runningStructure(sight.running, {
        memory,
        owned,
        disk: { checksum: checksumOf(onDisk), structure: facts.structure, generation: appliedGeneration },
      });
      const isCurrent = sight.isMatched && structure === facts.structure;
      return {
        appliedGeneration,
        observedGeneration: isCurrent ? appliedGeneration : sight.running.marker,
        error: disk.error === "" && !sight.isMatched ? sight.difference : disk.error,
      };
    } catch (thrown) {
      return { appliedGeneration: "", observedGeneration: "", error: messageOf(thrown) };
    }
  }

  const queue = newestWins({ clock, quietMs: target.quietMs, quietMaxMs: target.quietMaxMs, execute });
  return {
    apply: (bundle, signal) => queue.submit(bundle, signal),
    observe: () => queue.whenIdle(observe),
  };
}
