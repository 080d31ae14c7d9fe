import type { TestContext } from "node:test";
import type { Connect } from "../../agent/stream.js";
import { connectGrpc } from "../../agent/stream.js";
import { runAgentOf } from "../../agent/agent.js";
import type { RunningAgent } from "../../agent/agent.js";
import type { ApplierFactory } from "../../appliers/applier.js";
import type { Schedule, ScheduledNode } from "../../checks/schedule.js";
import { systemClock } from "../../common/clock.js";
import type { AgentConfig, CheckConfig } from "../../common/config/model.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { silentLogger } from "../../common/logger.js";
import type { NodeKey } from "../../common/model/node.js";
import { nodeKey } from "../../common/model/node.js";
import type { ObservationReport } from "../../common/model/observation.js";
import { networkIdentity } from "../../common/net/host-identity.js";
import { systemRandom } from "../../common/random.js";
import { createFleet } from "../../coordinator/agents/create-fleet.js";
import type { FleetOptions, FleetServer } from "../../coordinator/agents/create-fleet.js";
import type { DeclaredNode } from "../../coordinator/agents/hello.js";
import type { FleetTuning } from "../../coordinator/agents/tuning.js";
import type { AppliedEntry } from "../../coordinator/replica.js";
import type { NodeRecord, StateView } from "../../coordinator/state/model.js";
import { atEnd, temporaryFolder } from "./at-end.js";
import { until } from "./until.js";

export { until };

export const TCP_CHECK: CheckConfig = {
  id: "tcp",
  type: "tcp",
  options: {},
  everyMs: 1_000,
  timeoutMs: 1_000,
  fall: 3,
  rise: 2,
};

/** A replicated state that a test writes by hand. */
export class HandState {
  readonly #callbacks = new Set<(applied: AppliedEntry) => void>();
  readonly nodes = new Map<NodeKey, NodeRecord>();
  checks: readonly CheckConfig[] = [TCP_CHECK];
  clusterId = "cluster-1";
  index = 1;

  /** Adds nodes of cluster "web" and tells whoever listens. */
  add(addrs: readonly string[], declaredBy: string | null = null): void {
    this.index += 1;
    for (const addr of addrs) this.nodes.set(`web/${addr}`, nodeRecord(addr, this.index, declaredBy));
    this.announce();
  }

  remove(addr: string): void {
    this.nodes.delete(`web/${addr}`);
    this.announce();
  }

  announce(): void {
    this.index += 1;
    const applied = {
      position: { index: this.index, term: 1 },
      command: null,
      result: { isAccepted: true },
      events: [],
    };
    for (const callback of this.#callbacks) callback(applied as AppliedEntry);
  }

  get state(): StateView {
    const cluster = { name: "web", type: "tcp", checks: this.checks };
    return {
      clusterId: this.clusterId,
      index: this.index,
      term: 1,
      nodes: this.nodes,
      agents: new Map(),
      members: new Map(),
      config: { revision: 1, value: { clusters: { web: cluster }, balancers: {} } },
    } as unknown as StateView;
  }

  onReplaced(): () => void {
    return () => undefined;
  }

  onApplied(callback: (applied: AppliedEntry) => void): () => void {
    this.#callbacks.add(callback);
    return () => void this.#callbacks.delete(callback);
  }
}

function nodeRecord(addr: string, epoch: number, declaredBy: string | null): NodeRecord {
  return {
    cluster: "web",
    addr,
    attributes: {},
    source: declaredBy === null ? "file" : "agent",
    declaredBy,
    epoch,
    state: "unknown",
    heldState: "unknown",
    cause: "",
    isConclusive: false,
    sinceMs: 0,
    cutIndex: 0,
    overlay: null,
    damping: { penalty: 0, atMs: 0 },
  };
}

/** Everything a coordinator heard, in order. */
export class Heard {
  readonly reports: ObservationReport[] = [];
  readonly events: string[] = [];
  readonly declared: { readonly agentId: string; readonly nodes: readonly DeclaredNode[] }[] = [];
  heartbeats = 0;

  /** `consecutive` of the reports about one node: the tests number them. */
  numbers(addr: string): readonly number[] {
    return this.reports.filter(({ node }) => node.addr === addr).map(({ consecutive }) => consecutive);
  }
}

export type HandCoordinator = {
  readonly address: string;
  readonly port: number;
  readonly fleet: FleetServer;
  readonly heard: Heard;
  /** Without a word to anybody, as when the process is killed. */
  kill(): Promise<void>;
};

export const QUICK: Partial<FleetTuning> = { heartbeatMinMs: 100, heartbeatPerAgentMs: 0 };

/** The agent side of a coordinator on loopback. `heard` goes on where an earlier one of the same name was killed. */
export async function startCoordinator(
  t: TestContext,
  options: {
    readonly state: HandState;
    readonly id?: string;
    readonly port?: number;
    readonly heard?: Heard;
    readonly tuning?: Partial<FleetTuning>;
    readonly networkIdentity?: string;
    /** Left out: this coordinator alone. */
    readonly members?: FleetOptions["members"];
  },
): Promise<HandCoordinator> {
  const { state, id = "c1", port = 0, heard = new Heard() } = options;
  const fleet = createFleet({
    coordinatorId: id,
    version: "1.0.0",
    networkIdentity: options.networkIdentity ?? networkIdentity(),
    replica: state,
    members: options.members ?? (() => [{ id, agentAddress: `127.0.0.1:${port}` }]),
    onDeclared: (agentId, nodes) => heard.declared.push({ agentId, nodes }),
    clock: systemClock,
    logger: silentLogger,
    tuning: { ...QUICK, ...options.tuning },
  });
  fleet.listen({
    onReports: (_agentId, reports) => heard.reports.push(...reports),
    onHeartbeat: () => (heard.heartbeats += 1),
    onFound: (session) => heard.events.push(`found ${session.id}`),
    onLost: (session, cause) => heard.events.push(`lost ${session.id}: ${cause}`),
    onApplied: (agentId, outcome) =>
      heard.events.push(
        `${agentId} ${outcome.method} ${outcome.balancer} ${outcome.appliedGeneration} ${outcome.error}`.trim(),
      ),
  });
  const server = await createGrpcServer({
    listen: { host: "127.0.0.1", port },
    logger: silentLogger,
    services: [fleet.service],
  });
  let isClosed = false;
  const kill = async () => {
    if (isClosed) return;
    isClosed = true;
    fleet.close();
    await server.close(0);
  };
  atEnd(t, kill);
  return { address: server.address, port: server.port, fleet, heard, kill };
}

/** A schedule that looks at nothing: the test says what it saw. */
export class HandSchedule implements Schedule {
  readonly #onReports: (reports: readonly ObservationReport[]) => void;
  assigned: readonly ScheduledNode[] = [];
  readonly assignments: (readonly ScheduledNode[])[] = [];
  readonly probed: string[] = [];
  readonly #latest = new Map<NodeKey, ObservationReport>();
  readonly #streaks = new Map<NodeKey, number>();
  doubt = { level: 0, cause: "", loopDelayP99Ms: 1, cpuPressure: -1 };

  constructor(onReports: (reports: readonly ObservationReport[]) => void) {
    this.#onReports = onReports;
  }

  /** One more pass of each node, numbered by `consecutive`. */
  pass(addrs: readonly string[]): void {
    const reports = addrs.map((addr): ObservationReport => {
      const node = { cluster: "web", addr };
      const consecutive = (this.#streaks.get(nodeKey(node)) ?? 0) + 1;
      this.#streaks.set(nodeKey(node), consecutive);
      return {
        node,
        check: TCP_CHECK.id,
        observation: { outcome: "passed", latencyMs: 1, facts: { role: "primary" } },
        consecutive,
        refusals: 0,
        hasProcessExited: false,
        isDoubt: false,
        takenAtMs: systemClock.monotonicMs(),
      };
    });
    for (const report of reports) this.#latest.set(nodeKey(report.node), report);
    this.#onReports(reports);
  }

  assign(nodes: readonly ScheduledNode[]): void {
    this.assigned = nodes;
    this.assignments.push(nodes);
  }

  probe(node: ScheduledNode): void {
    this.probed.push(node.node.addr);
  }

  runOnce(): never {
    throw new Error("Not part of these tests");
  }

  latest(): readonly ObservationReport[] {
    return [...this.#latest.values()];
  }

  selfDoubt() {
    return this.doubt;
  }

  stats() {
    return { checks: this.assigned.length, runs: 0, latenessP50Ms: 0, latenessP99Ms: 0, tainted: 0 };
  }

  close(): void {
    this.assigned = [];
  }
}

export type HandAgent = {
  readonly config: AgentConfig;
  readonly schedule: HandSchedule;
  readonly running: RunningAgent;
  stop(): Promise<void>;
};

export async function startAgent(
  t: TestContext,
  options: {
    readonly coordinators: readonly string[];
    readonly config?: Partial<AgentConfig>;
    readonly createApplier?: ApplierFactory;
    readonly connect?: Connect;
    readonly observeEveryMs?: number;
  },
): Promise<HandAgent> {
  const stateDir = options.config?.stateDir ?? (await temporaryFolder(t));
  const config: AgentConfig = {
    id: "a1",
    coordinators: options.coordinators,
    tls: null,
    zone: "z1",
    labels: {},
    nodes: [],
    proxies: {},
    execChecks: {},
    logDir: null,
    pidFile: null,
    ...options.config,
    stateDir,
  };
  const stopping = new AbortController();
  let schedule: HandSchedule | null = null;
  let onStarted = (_agent: RunningAgent): void => undefined;
  const started = new Promise<RunningAgent>((resolve) => (onStarted = resolve));
  const run = runAgentOf({
    config,
    clock: systemClock,
    // Reconnects at once: the tests are about what happens then, not when.
    random: () => systemRandom() / 10,
    logger: silentLogger,
    signal: stopping.signal,
    createSchedule: (onReports) => (schedule = new HandSchedule(onReports)),
    createApplier:
      options.createApplier ??
      (() => {
        throw new Error("Not part of this test");
      }),
    connect: options.connect ?? connectGrpc(null),
    onStarted,
    ...(options.observeEveryMs === undefined ? {} : { observeEveryMs: options.observeEveryMs }),
  });
  const stop = async () => {
    stopping.abort();
    await run;
  };
  atEnd(t, stop);
  const running = await Promise.race([started, run]);
  if (schedule === null || running === undefined) throw new Error("The agent ended before it had started");
  return { config, schedule, running, stop };
}
