/**
 * One coordinator, its agents and their services in virtual time, around the real decider. The state machine
 * is reduced to what deciding needs; commits take a few milliseconds.
 */
import type { ClusterConfig } from "../../../common/config/model.js";
import type { Transition } from "../../../common/model/cut.js";
import { nodeKey } from "../../../common/model/node.js";
import type { NodeKey } from "../../../common/model/node.js";
import { seededRandom } from "../../../common/random.js";
import type { Random } from "../../../common/random.js";
import { Decider } from "../../../coordinator/health/decider.js";
import { LeaderTime } from "../../../coordinator/health/leader-time.js";
import { isOwnDuty } from "../../../coordinator/health/node-judge.js";
import { ownObserver } from "../../../coordinator/health/world.js";
import { dampingAfter } from "../../../coordinator/state/damping.js";
import { heldStateOf } from "../../../coordinator/state/state.js";
import { aCluster, aNode, aRecord, aState } from "../../support/decision-fixtures.js";
import type { TestState } from "../../support/decision-fixtures.js";
import { SimulatedObserver } from "./observer.js";
import type { Service } from "./observer.js";
import { Timeline } from "./timeline.js";

export type SimulationOptions = {
  readonly seed: number;
  readonly nodes: number;
  /** Agents; the nodes are spread over them. 0: the coordinator is alone. */
  readonly agents: number;
  /** Share of nodes beside which no agent stands. */
  readonly agentlessShare?: number;
  readonly supervisedShare?: number;
  readonly cluster?: Partial<ClusterConfig>;
};

export type SimulatedCut = { readonly atMs: number; readonly transitions: readonly Transition[] };

const OWN = "c1";
/** Time to read what arrived during a stall. Milliseconds. */
const BACKLOG_MS = 300;
const WALL_START_MS = 1_800_000_000_000;

export class Simulation {
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly services: readonly Service[];
  readonly cuts: SimulatedCut[] = [];
  /** Whatever must never happen, as it happened. */
  readonly faults: string[] = [];
  readonly state: TestState;
  lossRate = 0;
  /** Observers that nothing answers: agents, or `own` for the coordinator. */
  readonly cutOff = new Set<string>();
  wallOffsetMs = 0;

  readonly #cluster: ClusterConfig;
  readonly #decider: Decider;
  readonly #leaderTime: LeaderTime;
  readonly #own: SimulatedObserver;
  readonly #agents = new Map<
    string,
    { observer: SimulatedObserver; isConnected: boolean; delayMs: number }
  >();
  readonly #agentOf = new Map<NodeKey, string>();
  readonly #proposed = new Set<NodeKey>();
  #stampMs = 0;
  #boots = 0;
  #wakeAtMs = Infinity;
  #isStalled = false;
  #isDeaf = false;
  #heldCalls: (() => void)[] = [];

  constructor(options: SimulationOptions) {
    this.random = seededRandom(options.seed);
    this.#cluster = aCluster(options.cluster);
    this.services = Array.from({ length: options.nodes }, (_, index) => ({
      node: aNode(index + 1),
      mode: "answers" as const,
      isSupervised: this.random() < (options.supervisedShare ?? 0.5),
      changedAtMs: Number.NEGATIVE_INFINITY,
    }));
    for (const [index, service] of this.services.entries()) {
      if (options.agents === 0 || this.random() < (options.agentlessShare ?? 0)) continue;
      this.#agentOf.set(nodeKey(service.node), `a${index % options.agents}`);
    }
    const records = this.services.map(({ node }) =>
      aRecord(node, { state: "unknown", heldState: "unknown" }),
    );
    this.state = aState([this.#cluster], records);
    this.#leaderTime = new LeaderTime(this.#wallMs(), 0);
    this.#decider = new Decider(
      {
        coordinatorId: OWN,
        state: this.state,
        members: () => [OWN],
        agentBeside: (node) => this.#agentOf.get(nodeKey(node)) ?? null,
        zoneOf: () => "",
        mayProbe: () => true,
      },
      0,
    );
    this.#decider.leadership(true, 0);
    this.#own = new SimulatedObserver({
      timeline: this.timeline,
      random: this.random,
      lossRate: () => this.lossRate,
      isCutOff: () => this.cutOff.has("own"),
      delayMs: () => 0,
      deliver: (reports) => this.#input(() => this.#decider.reports(ownObserver(OWN), reports, this.#nowMs)),
    });
    for (const agent of new Set(this.#agentOf.values())) this.startAgent(agent);
    this.#assign();
    this.#wake();
  }

  /** Simulates until then and checks what must always hold. */
  runUntil(untilMs: number): this {
    this.timeline.runUntil(untilMs);
    return this;
  }

  kill(service: Service): void {
    this.#become(service, "dead");
  }

  hang(service: Service): void {
    this.#become(service, "hangs");
  }

  restore(service: Service): void {
    this.#become(service, "answers");
  }

  get agents(): readonly string[] {
    return [...new Set(this.#agentOf.values())].sort();
  }

  agentOf(service: Service): string | null {
    return this.#agentOf.get(nodeKey(service.node)) ?? null;
  }

  startAgent(id: string): void {
    const agent = { isConnected: true, delayMs: 1 };
    const observer = new SimulatedObserver({
      timeline: this.timeline,
      random: this.random,
      lossRate: () => 0,
      isCutOff: () => this.cutOff.has(id),
      delayMs: () => agent.delayMs + this.random() * 2,
      deliver: (reports) => this.#input(() => this.#decider.reports(id, reports, this.#nowMs)),
    });
    this.#agents.set(id, { observer, isConnected: true, delayMs: 1 });
    observer.assign(this.services.filter((service) => this.agentOf(service) === id));
    const boot = `boot${++this.#boots}`;
    this.#input(() => this.#decider.observerFound(id, boot, this.#nowMs));
    this.#assign();
  }

  killAgent(id: string): void {
    const agent = this.#agents.get(id);
    if (agent === undefined) return;
    agent.observer.stop();
    agent.isConnected = false;
    this.#input(() => this.#decider.observerLost(id, this.#nowMs));
    this.#assign();
  }

  /** Host power loss: the agent falls silent, and the stream ends only after `noticedAfterMs`. */
  vanishAgent(id: string, noticedAfterMs: number): void {
    this.#agents.get(id)?.observer.stop();
    this.timeline.in(noticedAfterMs, () => this.killAgent(id));
  }

  doubt(observer: string, level: number): void {
    const id = observer === "own" ? ownObserver(OWN) : observer;
    this.#input(() => this.#decider.heartbeat(id, { level, cause: "simulated" }));
  }

  /** The coordinator's process stands still. Its timers run before it has read what arrived meanwhile. */
  stall(durationMs: number): void {
    this.#isStalled = true;
    this.#isDeaf = true;
    this.timeline.in(durationMs, () => {
      this.#isStalled = false;
      this.#tick();
    });
    this.timeline.in(durationMs + BACKLOG_MS, () => {
      if (this.#isStalled) return;
      this.#isDeaf = false;
      for (const call of this.#heldCalls.splice(0)) call();
      this.#tick();
    });
  }

  stateOf(service: Service): string {
    return this.state.nodes.get(nodeKey(service.node))?.state ?? "gone";
  }

  /** Transitions of one service, oldest first. */
  history(service: Service): readonly (Transition & { readonly atMs: number })[] {
    const key = nodeKey(service.node);
    return this.cuts.flatMap(({ atMs, transitions }) =>
      transitions.filter((each) => nodeKey(each.node) === key).map((each) => ({ ...each, atMs })),
    );
  }

  holdOf(service: Service): string {
    return this.#decider.judgement(service.node, this.#now())?.hold ?? "";
  }

  get #nowMs(): number {
    return this.timeline.nowMs;
  }

  #wallMs(): number {
    return WALL_START_MS + this.#nowMs + this.wallOffsetMs;
  }

  #now(): { nowMs: number; leaderNowMs: number } {
    return { nowMs: this.#nowMs, leaderNowMs: this.#leaderTime.nowMs(this.#stampMs, this.#nowMs) };
  }

  #become(service: Service, mode: Service["mode"]): void {
    service.mode = mode;
    service.changedAtMs = this.#nowMs;
    if (mode !== "dead") return;
    const agent = this.#agents.get(this.agentOf(service) ?? "");
    if (agent?.isConnected === true) agent.observer.connectionLost(service, service.isSupervised);
    this.#own.connectionLost(service, false);
  }

  #input(call: () => void): void {
    if (this.#isDeaf) {
      this.#heldCalls.push(call);
      return;
    }
    call();
    this.#wake();
  }

  #wake(atMs = this.#nowMs): void {
    if (atMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    this.timeline.at(atMs, () => {
      if (this.#wakeAtMs !== atMs || this.#isStalled) return;
      this.#tick();
    });
  }

  #tick(): void {
    this.#wakeAtMs = Infinity;
    const step = this.#decider.tick(this.#now());
    for (const { node, durationMs } of step.probes) {
      const service = this.services.find((each) => nodeKey(each.node) === nodeKey(node.node));
      if (service !== undefined) this.#own.probe(service, durationMs);
    }
    if (step.cut !== null) this.#propose(step.cut);
    this.#wake(step.nextTickAtMs);
  }

  #propose(transitions: readonly Transition[]): void {
    for (const { node } of transitions) {
      if (this.#proposed.has(nodeKey(node))) this.faults.push(`two proposals in flight for ${nodeKey(node)}`);
      this.#proposed.add(nodeKey(node));
    }
    this.timeline.in(1 + this.random() * 6, () => this.#input(() => this.#apply(transitions)));
  }

  #apply(transitions: readonly Transition[]): void {
    this.#stampMs = Math.max(this.#stampMs, this.#wallMs());
    const isRemoving = transitions.some((each) => this.#isTimedOutRemoval(each));
    for (const transition of transitions) this.#applyOne(transition);
    this.cuts.push({ atMs: this.#nowMs, transitions });
    if (isRemoving) this.#checkBudget();
    this.#assign();
    this.#decider.committed({ type: "cut", transitions });
  }

  #applyOne({ node, from, to, isConclusive, cause }: Transition): void {
    const key = nodeKey(node);
    const record = this.state.nodes.get(key);
    this.#proposed.delete(key);
    if (record === undefined) return;
    if (from === to) {
      this.state.nodes.set(key, { ...record, isConclusive });
      return;
    }
    if (record.state !== from) this.faults.push(`${key} went from ${from}, but was ${record.state}`);
    this.state.nodes.set(key, {
      ...record,
      state: to,
      heldState: to === "unknown" ? record.heldState : to,
      cause,
      isConclusive,
      damping: dampingAfter(record.damping, heldStateOf(record), to, this.#stampMs),
    });
  }

  #checkBudget(): void {
    const removed = [...this.state.nodes.values()].filter(
      (record) => (record.heldState === "down" || record.heldState === "degraded") && !record.isConclusive,
    );
    const allowed = Math.max(1, Math.floor(this.services.length * this.#cluster.policy.removalBudget));
    if (removed.length > allowed) {
      this.faults.push(`${removed.length} nodes removed on timeouts, ${allowed} allowed`);
    }
  }

  #isTimedOutRemoval({ node, to, isConclusive }: Transition): boolean {
    const isBad = to === "down" || to === "degraded";
    return isBad && !isConclusive && this.state.nodes.get(nodeKey(node))?.heldState === "healthy";
  }

  #assign(): void {
    const mine = this.services.filter((service) => {
      const record = this.state.nodes.get(nodeKey(service.node));
      const agent = this.#agents.get(this.agentOf(service) ?? "");
      return record !== undefined && isOwnDuty(record, agent?.isConnected === true);
    });
    this.#own.assign(mine);
  }
}
