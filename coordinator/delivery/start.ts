import type { Applier, ApplierFactory, ApplyOutcome, Bundle, Fencing } from "../../appliers/applier.js";
import type { Clock } from "../../common/clock.js";
import type { BalancerConfig } from "../../common/config/model.js";
import { messageOf } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import { systemRandom } from "../../common/random.js";
import type { Random } from "../../common/random.js";
import { Trouble } from "../../common/trouble.js";
import type { Fleet } from "../agents/fleet.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import { renderBalancer } from "../render/render.js";
import type { Rendering } from "../render/rendering.js";
import type { Replica } from "../replica.js";
import { hasFirstRound } from "./first-round.js";
import type { BalancerLine, LedgerLine } from "./ledger.js";
import { DeliveryRecorder } from "./recorder.js";
import { clustersTouched } from "./relevance.js";
import { Target } from "./target.js";

export type DeliveryOptions = {
  readonly replica: Replica;
  readonly fleet: Pick<Fleet, "sessions" | "apply" | "listen">;
  readonly log: Pick<ReplicatedLog, "leadership" | "onLeadership">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly createApplier: ApplierFactory;
  readonly random?: Random;
  /**
   * Whether a cluster is known well enough to be told to proxies; `waitedMs` is the time since the log was
   * caught up. Default: `hasFirstRound`. Once true it stays true.
   */
  readonly isReady?: (cluster: string, waitedMs: number) => boolean;
  /** How often local proxies are looked at for drift. Milliseconds. Default: 10 s. */
  readonly observeEveryMs?: number;
};

export interface Delivery {
  /** Every balancer of the configuration, and how its proxies stand. */
  balancers(): readonly BalancerLine[];
  /** Orders a balancer again from all its proxies; false when there is none of that name. */
  redeliver(balancer: string): boolean;
  /** Stops ordering; what runs at a local proxy is finished first. */
  close(): Promise<void>;
}

const OBSERVE_EVERY_MS = 10_000;
/** How often an unready cluster is looked at again. */
const READY_POLL_MS = 100;
export const LOCAL_TARGET = "local";

/**
 * Takes what the state says to the proxies: renders after every applied entry that may matter, orders what
 * changed, and keeps the ledger of what came of it. Local proxies are served by every coordinator that has
 * them beside it; agents by the leader alone.
 */
export function startDelivery(options: DeliveryOptions): Delivery {
  return new Deliverer(options);
}

type BalancerEntry = {
  config: BalancerConfig;
  /** The last rendering that could be delivered. */
  rendered: Extract<Rendering, { kind: "rendered" }> | null;
  bundle: Bundle | null;
  problems: readonly string[];
  readonly targets: Map<string, Target>;
  local: { readonly key: string; readonly applier: Applier } | null;
};

class Deliverer implements Delivery {
  readonly #options: DeliveryOptions;
  readonly #entries = new Map<string, BalancerEntry>();
  readonly #ready = new Set<string>();
  readonly #dirty = new Set<string>();
  readonly #recorder: DeliveryRecorder;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #unsubscribe: (() => void)[] = [];
  /** What connected agents said they hold before their balancer had a target. Key: `balancer@agent`. */
  readonly #reports = new Map<string, ApplyOutcome>();
  #cancelReadyPoll: () => void = () => undefined;
  /** Monotonic milliseconds at which the log was caught up; null before. */
  #caughtUpMs: number | null = null;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#recorder = new DeliveryRecorder(options);
    const { replica, fleet, log } = options;
    this.#unsubscribe.push(
      replica.onApplied((applied) => {
        if (this.#caughtUpMs === null) return;
        const touched = clustersTouched(applied);
        if (touched === "all") this.#evaluateAll();
        else if (touched.size > 0) this.#evaluateClusters(touched);
      }),
      replica.onReplaced(() => {
        if (this.#caughtUpMs !== null) this.#evaluateAll();
      }),
      fleet.listen({
        // What its Hello says of its proxies is announced right after: look when that is known.
        onFound: (session) => queueMicrotask(() => this.#agentFound(session.id, session.proxies)),
        onLost: (session) => this.#agentLost(session.id),
        onApplied: (agentId, outcome) => {
          const target = this.#entries.get(outcome.balancer)?.targets.get(agentId);
          // What an agent tells unasked (in its Hello, or because it saw drift) has no position.
          if (outcome.fencing.index > 0) target?.answer(outcome);
          else if (target !== undefined) target.sighted(outcome);
          else this.#reports.set(`${outcome.balancer}@${agentId}`, outcome);
        },
      }),
      log.onLeadership((leadership) => {
        if (leadership.isLeader && this.#caughtUpMs !== null) this.#lead();
      }),
    );
    this.#track(this.#begin());
  }

  balancers(): readonly BalancerLine[] {
    return [...this.#entries.values()].map(({ config, rendered, problems, targets }) => {
      const proxies = [...targets.values()].map((target) => target.line());
      return {
        name: config.name,
        wantedGeneration: rendered?.generation ?? "",
        config: rendered?.files.map((file) => file.text).join("\n") ?? "",
        warnings: [
          ...problems,
          ...(rendered?.warnings ?? []),
          ...proxies.flatMap((line) => line.warnings.map((warning) => `${line.target}: ${warning}`)),
        ],
        proxies,
      };
    });
  }

  redeliver(balancer: string): boolean {
    const entry = this.#entries.get(balancer);
    if (entry === undefined) return false;
    for (const target of entry.targets.values()) target.resend();
    return true;
  }

  async close(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#cancelReadyPoll();
    this.#stopping.abort();
    for (const entry of this.#entries.values()) closeTargets(entry);
    await Promise.allSettled(this.#running);
    await this.#recorder.close();
  }

  async #begin(): Promise<void> {
    const { replica, clock, logger } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      try {
        await replica.readBarrier();
        break;
      } catch (thrown) {
        if (signal.aborted) return;
        logger.debug("delivery.waiting_for_log", { error: messageOf(thrown) });
        await clock.sleep(READY_POLL_MS, signal);
      }
    }
    if (signal.aborted) return;
    this.#caughtUpMs = clock.monotonicMs();
    this.#evaluateAll();
    const everyMs = this.#options.observeEveryMs ?? OBSERVE_EVERY_MS;
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal);
      if (signal.aborted) return;
      // A snapshot may have replaced the state without entries; an overlay may have ended.
      this.#evaluateAll();
      await this.#observeLocal();
    }
  }

  #evaluateAll(): void {
    const { balancers } = this.#options.replica.state.config.value;
    for (const [name, entry] of this.#entries) {
      if (Object.hasOwn(balancers, name)) continue;
      // The proxy keeps what it has: a balancer that left the configuration is nobody's to change.
      closeTargets(entry);
      this.#entries.delete(name);
    }
    for (const config of Object.values(balancers)) this.#evaluate(config);
  }

  #evaluateClusters(clusters: ReadonlySet<string>): void {
    for (const config of Object.values(this.#options.replica.state.config.value.balancers)) {
      if (config.clusters.some((cluster) => clusters.has(cluster))) this.#evaluate(config);
    }
  }

  #evaluate(config: BalancerConfig): void {
    const { replica, logger } = this.#options;
    const entry = this.#entryOf(config);
    const unready = config.clusters.filter((cluster) => !this.#isReady(cluster));
    if (unready.length > 0) {
      entry.problems = [`Waiting for the first round of verdicts on ${unready.join(", ")}`];
      this.#pollReady(config.name);
      return;
    }
    const rendering = renderBalancer(replica.state, config.name);
    if (rendering === null) return;
    if (rendering.kind === "refused") {
      const problems = rendering.problems.map((problem) => `Not rendered: ${problem}`);
      if (problems.join() !== entry.problems.join())
        logger.error("render.refused", { balancer: config.name, problems });
      entry.problems = problems;
      return;
    }
    entry.problems = [];
    const before = entry.rendered;
    entry.rendered = rendering;
    if (entry.bundle?.generation !== rendering.generation) {
      const { index } = replica.state;
      entry.bundle = bundleOf(rendering, this.#fencing(), isUrgent(before, rendering));
      logger.info("render.changed", {
        balancer: config.name,
        generation: rendering.generation,
        routable: rendering.routable.size,
        index,
        isUrgent: entry.bundle.isUrgent,
      });
    }
    this.#order(entry, entry.bundle);
  }

  #order(entry: BalancerEntry, bundle: Bundle): void {
    this.#alignTargets(entry);
    for (const target of entry.targets.values()) target.want(bundle);
  }

  /** Gives every proxy of a balancer a target, and takes away those that are gone. */
  #alignTargets(entry: BalancerEntry): void {
    const { config, targets } = entry;
    const wanted = config.deliver === "local" ? [LOCAL_TARGET] : this.#agentsWith(config.name);
    for (const [name, target] of targets) {
      if (wanted.includes(name)) continue;
      target.close();
      targets.delete(name);
    }
    if (config.deliver === "local") this.#alignApplier(entry);
    for (const name of wanted) {
      if (!targets.has(name)) targets.set(name, this.#newTarget(entry, name));
    }
  }

  #alignApplier(entry: BalancerEntry): void {
    const { config } = entry;
    if (config.target === null) {
      entry.local = null;
      return;
    }
    const key = JSON.stringify([config.target, config.mode]);
    if (entry.local?.key === key) return;
    const { createApplier } = this.#options;
    entry.local = {
      key,
      applier: createApplier({ balancer: config.name, target: config.target, mode: config.mode }),
    };
    entry.targets.get(LOCAL_TARGET)?.close();
    entry.targets.delete(LOCAL_TARGET);
  }

  #newTarget(entry: BalancerEntry, name: string): Target {
    const { clock, random = systemRandom } = this.#options;
    const balancer = entry.config.name;
    const trouble = new Trouble(clock);
    const target: Target = new Target({
      target: name,
      clock,
      random,
      send: (bundle) =>
        name === LOCAL_TARGET ? this.#sendLocal(entry, target, bundle) : this.#sendTo(name, bundle),
      onSettled: (line) => this.#settled(balancer, line, trouble),
    });
    const report = this.#reports.get(`${balancer}@${name}`);
    if (report !== undefined) target.report(report);
    this.#reports.delete(`${balancer}@${name}`);
    return target;
  }

  #sendLocal(entry: BalancerEntry, target: Target, bundle: Bundle): boolean {
    const { local } = entry;
    if (local === null) return false;
    const work = local.applier.apply(bundle, this.#stopping.signal).then((outcome) => target.answer(outcome));
    this.#track(work);
    return true;
  }

  #sendTo(agentId: string, bundle: Bundle): boolean {
    const { fleet, log } = this.#options;
    return log.leadership().isLeader && fleet.apply(agentId, bundle);
  }

  #settled(balancer: string, line: LedgerLine, trouble: Trouble): void {
    const { logger } = this.#options;
    const fields = {
      balancer,
      target: line.target,
      wanted: line.wantedGeneration,
      applied: line.appliedGeneration,
      method: line.method,
      durationMs: line.durationMs,
    };
    if (line.state === "converged") {
      logger.info("delivery.converged", { ...fields, ...trouble.recovered() });
    } else {
      const soFar = trouble.failed(reasonOf(line));
      if (soFar !== null) logger.warn(`delivery.${line.state}`, { ...fields, ...soFar, error: line.error });
    }
    this.#recorder.record(balancer, line);
  }

  #agentsWith(balancer: string): readonly string[] {
    const ids = new Set<string>();
    for (const session of this.#options.fleet.sessions()) {
      if (session.proxies.includes(balancer)) ids.add(session.id);
    }
    for (const agent of this.#options.replica.state.agents.values()) {
      if (agent.proxies.includes(balancer)) ids.add(agent.id);
    }
    return [...ids].sort();
  }

  #agentFound(agentId: string, proxies: readonly string[]): void {
    if (this.#caughtUpMs === null) return;
    for (const name of proxies) {
      const entry = this.#entries.get(name);
      if (entry === undefined || entry.config.deliver !== "agents") continue;
      this.#alignTargets(entry);
      if (entry.bundle !== null) entry.targets.get(agentId)?.found(entry.bundle);
    }
  }

  /**
   * A new leader does not know what the one before had ordered from agents: what is there already is not made
   * again, and whatever it orders bears its own term, or agents would take it for an order of the one before.
   */
  #lead(): void {
    this.#evaluateAll();
    const fencing = this.#fencing();
    for (const entry of this.#entries.values()) {
      if (entry.config.deliver === "local" || entry.bundle === null) continue;
      entry.bundle = { ...entry.bundle, fencing };
      for (const target of entry.targets.values()) target.lead(entry.bundle);
    }
  }

  /** The leader's term counts from its election on, which may be before its first entry is applied. */
  #fencing(): Fencing {
    const { term, index } = this.#options.replica.state;
    const { isLeader, term: leading } = this.#options.log.leadership();
    return { term: isLeader ? Math.max(term, leading) : term, index };
  }

  #agentLost(agentId: string): void {
    for (const key of this.#reports.keys()) if (key.endsWith(`@${agentId}`)) this.#reports.delete(key);
    for (const { targets } of this.#entries.values()) targets.get(agentId)?.lost();
  }

  async #observeLocal(): Promise<void> {
    for (const entry of this.#entries.values()) {
      const target = entry.targets.get(LOCAL_TARGET);
      if (entry.local === null || target?.isConverged !== true) continue;
      const { wantedGeneration } = target;
      const seen = await entry.local.applier.observe();
      const isSame =
        seen.error === "" &&
        seen.appliedGeneration === wantedGeneration &&
        (seen.observedGeneration === "" || seen.observedGeneration === wantedGeneration);
      // It may have been ordered something newer while we looked.
      if (!isSame && target.wantedGeneration === wantedGeneration) target.drift(seen);
    }
  }

  #isReady(cluster: string): boolean {
    if (this.#caughtUpMs === null) return false;
    if (this.#ready.has(cluster)) return true;
    const { replica, clock, isReady } = this.#options;
    const waitedMs = clock.monotonicMs() - this.#caughtUpMs;
    if (!(isReady?.(cluster, waitedMs) ?? hasFirstRound(replica.state, cluster, waitedMs))) return false;
    this.#ready.add(cluster);
    return true;
  }

  #pollReady(balancer: string): void {
    const isPolling = this.#dirty.size > 0;
    this.#dirty.add(balancer);
    if (isPolling) return;
    this.#cancelReadyPoll = this.#options.clock.after(READY_POLL_MS, () => {
      const names = [...this.#dirty];
      this.#dirty.clear();
      const { balancers } = this.#options.replica.state.config.value;
      for (const name of names) {
        const config = Object.hasOwn(balancers, name) ? balancers[name] : undefined;
        if (config !== undefined) this.#evaluate(config);
      }
    });
  }

  #entryOf(config: BalancerConfig): BalancerEntry {
    const entry = this.#entries.get(config.name);
    if (entry !== undefined) {
      entry.config = config;
      return entry;
    }
    const made: BalancerEntry = {
      config,
      rendered: null,
      bundle: null,
      problems: [],
      targets: new Map(),
      local: null,
    };
    this.#entries.set(config.name, made);
    return made;
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((thrown: unknown) => {
      this.#options.logger.error("delivery.broken", { error: thrown });
    });
    this.#running.add(tracked);
    void tracked.finally(() => this.#running.delete(tracked));
  }
}

/** What stays the same from one attempt to the next; HAProxy names its process before each of its lines. */
function reasonOf({ state, error, wantedGeneration }: LedgerLine): string {
  const steady = wantedGeneration === "" ? error : error.replaceAll(wantedGeneration, "");
  return `${state}: ${steady.replaceAll(/\(\d+\)/g, "")}`;
}

function closeTargets(entry: BalancerEntry): void {
  for (const target of entry.targets.values()) target.close();
}

function bundleOf(
  rendering: Extract<Rendering, { kind: "rendered" }>,
  fencing: Fencing,
  isUrgentNow: boolean,
): Bundle {
  const { balancer, generation, files } = rendering;
  return { balancer, kind: "haproxy", generation, files, fencing, isUrgent: isUrgentNow };
}

/** Traffic must leave a node, or there was none to go to: neither waits for further changes. */
function isUrgent(
  before: Extract<Rendering, { kind: "rendered" }> | null,
  after: Extract<Rendering, { kind: "rendered" }>,
): boolean {
  if (before === null || before.routable.size === 0) return true;
  for (const node of before.routable) if (!after.routable.has(node)) return true;
  return false;
}
