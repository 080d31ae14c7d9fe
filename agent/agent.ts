import { isDeepStrictEqual } from "node:util";
import type { Applier, ApplierFactory } from "../appliers/applier.js";
import type { Schedule, ScheduledNode } from "../checks/schedule.js";
import type { Welcome } from "../proto/gen/clusterduck/v1/agent_pb.js";
import type { Clock } from "../common/clock.js";
import type { AgentConfig, ProxyTargetConfig } from "../common/config/model.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
import type { Logger } from "../common/logger.js";
import type { ApplyOutcome } from "../common/model/delivery.js";
import type { ObservationReport } from "../common/model/observation.js";
import type { Random } from "../common/random.js";
import { VERSION } from "../common/version.js";
import { Applies } from "./applies.js";
import { mergeAssignments } from "./assignments.js";
import { Coordinators } from "./coordinators.js";
import { agentIdentity, introduce } from "./identity.js";
import { StateStore } from "./state-store.js";
import type { AgentState } from "./state-store.js";
import type { AgentStatus } from "./status.js";
import { serveStatus } from "./status.js";
import type { Connect } from "./stream.js";
import { CoordinatorStream } from "./stream.js";

export type AgentParts = {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Stops the agent. */
  readonly signal: AbortSignal;
  /** What runs the checks. */
  readonly createSchedule: (onReports: (reports: readonly ObservationReport[]) => void) => Schedule;
  /** What applies bundles. */
  readonly createApplier: ApplierFactory;
  /** How coordinators are reached. */
  readonly connect: Connect;
  /** Called once, when the agent checks and connects. */
  readonly onStarted?: (agent: RunningAgent) => void;
  /** How often proxies are looked at for drift. Milliseconds. Default: `OBSERVE_EVERY_MS`. */
  readonly observeEveryMs?: number;
};

export type RunningAgent = {
  /**
   * Takes another configuration without a break: checks go on, what was counted stays, and no coordinator
   * takes the agent for lost. False: this change needs a new start (its id, its state directory, the
   * commands of its checks), and nothing was done.
   */
  readonly reconfigure: (config: AgentConfig) => boolean;
  /** Coordinators that are not connected are tried at once: what kept them away may be over. */
  readonly retry: () => void;
};

/** As often as a coordinator looks at the proxies beside it. Milliseconds. */
const OBSERVE_EVERY_MS = 10_000;

/**
 * An agent, until `signal` aborts. It begins with the assignment it had when it stopped, so that a restart
 * needs no coordinator; what coordinators do never ends it.
 * @throws ClusterduckError when its configuration or its state directory does not let it start.
 */
export async function runAgentOf(options: AgentParts): Promise<void> {
  const { config, signal, logger } = options;
  if (config.coordinators.length === 0) {
    throw new ClusterduckError("CONFIG_INVALID", "Cannot start the agent: agent.coordinators is empty", {
      hint: "Name the gRPC address of every coordinator, such as coordinators: [10.0.0.1:7400]",
    });
  }
  const store = new StateStore(config.stateDir);
  const agent = new Agent(options, store, await store.load());
  const status = await serveStatus(config.stateDir, () => agent.status());
  try {
    await agent.run(signal, options.onStarted);
  } finally {
    await status.close();
    logger.info("agent.stopped", { agent: config.id });
  }
}

class Agent {
  readonly #options: AgentParts;
  readonly #store: StateStore;
  readonly #identity;
  readonly #schedule: Schedule;
  readonly #applies: Applies;
  readonly #coordinators: Coordinators;
  readonly #startedMs: number;
  #config: AgentConfig;
  #appliers: ReadonlyMap<string, { readonly target: ProxyTargetConfig; readonly applier: Applier }> =
    new Map();
  #clusterId: string;
  #nodes: readonly ScheduledNode[];
  #saving: Promise<void> | null = null;
  #isSaved = true;

  constructor(options: AgentParts, store: StateStore, state: AgentState) {
    const { config, clock, random, logger, signal } = options;
    this.#options = options;
    this.#config = config;
    this.#store = store;
    this.#clusterId = state.clusterId;
    this.#nodes = state.nodes;
    this.#startedMs = clock.monotonicMs();
    this.#identity = agentIdentity(config, VERSION);
    this.#applies = new Applies({
      appliers: this.#createAppliers(),
      onOutcome: (outcome) => this.#onOutcome(outcome),
      logger,
      clock,
      signal,
    });
    this.#schedule = options.createSchedule((reports) => this.#onReports(reports));
    this.#coordinators = new Coordinators({
      logger,
      onRemoved: () => this.#assign(),
      onNamed: () => this.#saveSoon(),
      createStream: (address) =>
        new CoordinatorStream({
          address,
          connect: options.connect,
          clock,
          random,
          logger: logger.child("stream"),
          handlers: {
            hello: () => introduce(this.#identity, this.#config, this.#applies.states(), this.#clusterId),
            onWelcome: (from, welcome) => this.#onWelcome(from, welcome),
            onMembers: (from, told) => this.#coordinators.onWelcome(from, told),
            onAssignment: () => this.#assign(),
            onProbe: (node, durationMs) => this.#schedule.probe(node, durationMs),
            onBundle: (bundle) => this.#applies.offer(bundle),
            latest: () => this.#schedule.latest(),
            heartbeat: () => {
              const { checks, latenessP99Ms } = this.#schedule.stats();
              return { selfDoubt: this.#schedule.selfDoubt(), checks, latenessP99Ms };
            },
          },
        }),
    });
    this.#coordinators.configure(config.coordinators);
    this.#coordinators.remember(state.coordinators);
  }

  async run(signal: AbortSignal, onStarted: AgentParts["onStarted"]): Promise<void> {
    const { logger, config } = this.#options;
    const { id, bootId, version } = this.#identity;
    try {
      this.#schedule.assign(this.#nodes);
      await this.#applies.observeAll();
      logger.info("agent.started", {
        agent: id,
        boot: bootId,
        version,
        nodes: this.#nodes.length,
        coordinators: config.coordinators,
      });
      onStarted?.({
        reconfigure: (next) => this.#reconfigure(next),
        retry: () => {
          for (const stream of this.#coordinators.streams()) {
            if (!stream.isConnected) stream.introduceAgain();
          }
        },
      });
      await Promise.all([this.#coordinators.run(signal), this.#lookForDrift(signal)]);
    } finally {
      this.#schedule.close();
      await this.#saving;
    }
  }

  status(): AgentStatus {
    const { id, bootId, version } = this.#identity;
    return {
      id,
      bootId,
      version,
      clusterId: this.#clusterId,
      uptimeMs: this.#options.clock.monotonicMs() - this.#startedMs,
      streams: this.#coordinators.streams().map((stream) => stream.status()),
      nodes: this.#nodes.length,
      checks: this.#schedule.stats(),
      selfDoubt: this.#schedule.selfDoubt(),
      proxies: this.#applies.states(),
    };
  }

  #reconfigure(config: AgentConfig): boolean {
    const before = this.#config;
    const needsStart =
      config.id !== before.id ||
      config.stateDir !== before.stateDir ||
      !isDeepStrictEqual(config.tls, before.tls) ||
      config.coordinators.length === 0 ||
      !isDeepStrictEqual(config.execChecks, before.execChecks);
    if (needsStart) return false;
    this.#config = config;
    this.#coordinators.configure(config.coordinators);
    const isToldAnew = !isDeepStrictEqual(
      [config.zone, config.labels, config.nodes, config.proxies],
      [before.zone, before.labels, before.nodes, before.proxies],
    );
    // What the proxies hold is part of what is told.
    if (isToldAnew) void this.#applies.replace(this.#createAppliers()).then(() => this.#introduceAgain());
    return true;
  }

  #introduceAgain(): void {
    for (const stream of this.#coordinators.streams()) stream.introduceAgain();
  }

  /** Proxies that are declared as before keep their appliers: they know what was done last. */
  #createAppliers(): ReadonlyMap<string, Applier> {
    const entries = Object.entries(this.#config.proxies).map(([balancer, target]) => {
      const known = this.#appliers.get(balancer);
      const isKnown = known !== undefined && isDeepStrictEqual(known.target, target);
      // Whether a file is ours in whole or between markers only, each bundle says itself.
      const create = (): Applier => this.#options.createApplier({ balancer, target, mode: "file" });
      return [balancer, isKnown ? known : { target, applier: create() }] as const;
    });
    this.#appliers = new Map(entries);
    return new Map(entries.map(([balancer, { applier }]) => [balancer, applier]));
  }

  async #lookForDrift(signal: AbortSignal): Promise<void> {
    const { clock, observeEveryMs = OBSERVE_EVERY_MS } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(observeEveryMs, signal);
      if (!signal.aborted) await this.#applies.lookForDrift();
    }
  }

  #onReports(reports: readonly ObservationReport[]): void {
    const isUrgent = reports.some(isNews);
    for (const stream of this.#coordinators.streams()) stream.report(reports, isUrgent);
  }

  #onOutcome(outcome: ApplyOutcome): void {
    for (const stream of this.#coordinators.streams()) stream.applied(outcome);
  }

  /** @throws ClusterduckError CONFLICT for a coordinator of another cluster. */
  #onWelcome(address: string, welcome: Welcome): void {
    if (this.#clusterId !== "" && welcome.clusterId !== this.#clusterId) {
      throw new ClusterduckError(
        "CONFLICT",
        `Coordinator at ${address} belongs to cluster ${welcome.clusterId}, this agent to ${this.#clusterId}`,
        {
          hint: `If the agent is meant to move, stop it, remove "${this.#options.config.stateDir}" and start it again`,
        },
      );
    }
    this.#coordinators.onWelcome(address, welcome);
    if (this.#clusterId === welcome.clusterId) return;
    this.#clusterId = welcome.clusterId;
    this.#saveSoon();
  }

  #assign(): void {
    const merged = mergeAssignments(
      this.#coordinators.streams().map((stream) => ({ isConnected: stream.isConnected, held: stream.held })),
    );
    // Before a coordinator has spoken, the assignment from before the restart stands.
    if (merged === null || isSameWork(this.#nodes, merged)) return;
    this.#nodes = merged;
    this.#schedule.assign(merged);
    this.#options.logger.info("agent.assigned", { nodes: merged.length });
    this.#saveSoon();
  }

  #saveSoon(): void {
    this.#isSaved = false;
    this.#saving ??= this.#save();
  }

  /** Never throws: a full disk must not end the checks. */
  async #save(): Promise<void> {
    while (!this.#isSaved) {
      this.#isSaved = true;
      try {
        await this.#store.save({
          clusterId: this.#clusterId,
          nodes: this.#nodes,
          coordinators: this.#coordinators.named(),
        });
      } catch (thrown) {
        this.#options.logger.error("agent.save_failed", { reason: messageOf(thrown), error: thrown });
      }
    }
    this.#saving = null;
  }
}

/** Failures and recoveries count by their first looks; the thousandth pass can wait for company. */
const STREAK_OF_NEWS = 10;

function isNews(report: ObservationReport): boolean {
  return report.isDoubt || report.hasProcessExited || report.consecutive <= STREAK_OF_NEWS;
}

/** The same nodes with the very same checks: an assignment that a reconnect repeated in part. */
function isSameWork(before: readonly ScheduledNode[], after: readonly ScheduledNode[]): boolean {
  return before.length === after.length && before.every((node, at) => node === after[at]);
}
