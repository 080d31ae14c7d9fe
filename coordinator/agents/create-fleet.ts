import { isDeepStrictEqual } from "node:util";
import { AgentService } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { ConnectRequest, Heartbeat, ObservationBatch } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { ScheduledNode } from "../../checks/schedule.js";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { BoundService, CallContext } from "../../common/grpc/service.js";
import { bindService } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import type { Bundle } from "../../common/model/delivery.js";
import type { NodeKey, NodeRef } from "../../common/model/node.js";
import { nodeKey } from "../../common/model/node.js";
import { decodeOutcome } from "../../common/wire/bundle.js";
import { fromDuration, fromUint64, invalid, toUint64 } from "../../common/wire/values.js";
import type { AppliedEntry, Replica } from "../replica.js";
import { Admission } from "./admission.js";
import { FleetAgent } from "./agent.js";
import type { Plan } from "./assignment.js";
import { planAssignments } from "./assignment.js";
import type { Response } from "./connection.js";
import { AgentConnection } from "./connection.js";
import { assertMayConnect } from "./duplicates.js";
import type { AgentSession, Fleet, FleetListener } from "./fleet.js";
import type { AgentHello, DeclaredNode } from "./hello.js";
import { assertCompatible, assertOwnName, assertSameCluster, decodeHello } from "./hello.js";
import { SilenceWatch } from "./silence.js";
import type { FleetTuning } from "./tuning.js";
import { FLEET_TUNING } from "./tuning.js";

export type FleetMember = { readonly id: string; readonly agentAddress: string };

export type FleetOptions = {
  readonly coordinatorId: string;
  /** Of this program: agents of another major version are refused. */
  readonly version: string;
  /** Of this process (`common/net/host-identity.ts`). */
  readonly networkIdentity: string;
  readonly replica: Pick<Replica, "state" | "onApplied" | "onReplaced">;
  /** All coordinators, for agents that know only one. */
  readonly members: () => readonly FleetMember[];
  /** The nodes an agent declares, at each of its Hellos: whoever leads proposes `declareNodes` when they differ. */
  readonly onDeclared: (agentId: string, nodes: readonly DeclaredNode[]) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tuning?: Partial<FleetTuning>;
};

export type FleetServer = Fleet & {
  /** For `createGrpcServer`. */
  readonly service: BoundService;
  /** What each connected agent declares: a new leader looks whether all of it is committed. */
  declarations(): ReadonlyMap<string, readonly DeclaredNode[]>;
  /** Ends all streams with STOPPING. Nobody is reported lost: it is we who go. */
  close(): void;
};

export function createFleet(options: FleetOptions): FleetServer {
  return new StreamFleet(options);
}

/** Strangers that are remembered; beyond it they are told anew. */
const STRANGERS_MAX = 1_000;

class StreamFleet implements FleetServer {
  readonly service: BoundService;
  readonly #options: FleetOptions;
  readonly #tuning: FleetTuning;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #admission: Admission;
  readonly #silence: SilenceWatch;
  readonly #agents = new Map<string, FleetAgent>();
  readonly #listeners = new Set<FleetListener>();
  readonly #subscriptions: readonly (() => void)[];
  readonly #stopping = new AbortController();
  /** Agents of other clusters that were refused, and their clusters: told once. */
  readonly #strangers = new Map<string, string>();
  /** Null after a change: made again when somebody asks. */
  #plan: Plan | null = null;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#tuning = { ...FLEET_TUNING, ...options.tuning };
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#admission = new Admission({
      perSecond: this.#tuning.admitPerSecond,
      burst: this.#tuning.admitBurst,
    });
    this.#silence = new SilenceWatch(this.#clock, this.#tuning, () => this.#agents.values(), {
      onSilent: (agent, cause) => agent.connection?.end(new ClusterduckError("TIMED_OUT", cause)),
      onForgotten: (agent) => {
        this.#agents.delete(agent.hello.id);
        this.#replan();
      },
    });
    const { replica } = options;
    this.#subscriptions = [
      replica.onApplied((applied) => {
        if (applied.command?.type === "removeAgent" && applied.result.isAccepted) {
          this.#forget(applied.command.agentId);
        }
        if (changesWork(applied)) this.#replan();
        const { command, result } = applied;
        if (result.isAccepted && (command?.type === "setMember" || command?.type === "removeMember")) {
          this.#tellMembers();
        }
      }),
      replica.onReplaced(() => {
        this.#replan();
        this.#tellMembers();
      }),
    ];
    this.service = bindService(
      AgentService,
      { connect: (requests, context) => this.#serve(requests, context) },
      ["agent"],
    );
  }

  sessions(): readonly AgentSession[] {
    return [...this.#agents.values()].map((agent) => agent.session());
  }

  agentBeside(node: NodeRef): string | null {
    return this.#currentPlan().beside.get(nodeKey(node)) ?? null;
  }

  canReach(node: NodeRef): boolean {
    const home = this.#currentPlan().homes.get(nodeKey(node));
    return home === undefined || home === this.#options.networkIdentity;
  }

  peersOf(node: NodeRef): readonly AgentSession[] {
    const { beside, homes } = this.#currentPlan();
    const home = homes.get(nodeKey(node));
    return this.sessions().filter(
      ({ id, isConnected, networkIdentity }) =>
        isConnected && id !== beside.get(nodeKey(node)) && (home === undefined || home === networkIdentity),
    );
  }

  probe(agentId: string, node: ScheduledNode, durationMs: number): void {
    this.#agents.get(agentId)?.connection?.probe(node, durationMs);
  }

  apply(agentId: string, bundle: Bundle): boolean {
    const connection = this.#agents.get(agentId)?.connection;
    connection?.apply(bundle);
    return connection !== null && connection !== undefined;
  }

  listen(listener: FleetListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  declarations(): ReadonlyMap<string, readonly DeclaredNode[]> {
    const connected = [...this.#agents.values()].filter(({ connection }) => connection !== null);
    return new Map(connected.map(({ hello }) => [hello.id, hello.nodes]));
  }

  close(): void {
    const stopping = new ClusterduckError(
      "STOPPING",
      `Coordinator "${this.#options.coordinatorId}" is stopping`,
    );
    this.#stopping.abort(stopping);
    this.#silence.close();
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#listeners.clear();
    for (const agent of this.#agents.values()) agent.connection?.end(stopping);
  }

  async *#serve(requests: AsyncIterable<ConnectRequest>, context: CallContext): AsyncGenerator<Response> {
    const iterator = requests[Symbol.asyncIterator]();
    const hello = await this.#introduce(iterator, context);
    const connection = new AgentConnection();
    const agent = this.#connect(hello, connection);
    const onGone = () => connection.end(new ClusterduckError("UNREACHABLE", "the stream broke"));
    context.signal.addEventListener("abort", onGone, { once: true });
    if (context.signal.aborted) onGone();
    try {
      yield this.#welcome(agent);
      // Reads beside the writing below; what it throws ends the connection, and with it the writing.
      void this.#read(agent, connection, iterator);
      yield* connection.messages({
        assignment: () => this.#nextAssignment(agent),
        members: () => ({ message: { case: "members", value: { members: this.#members() } } }),
      });
    } finally {
      context.signal.removeEventListener("abort", onGone);
      onGone();
    }
  }

  /** The first message and the waiting room. @throws ClusterduckError when this stream cannot be. */
  async #introduce(iterator: AsyncIterator<ConnectRequest>, context: CallContext): Promise<AgentHello> {
    const first = await this.#firstMessage(iterator, context);
    if (first.message.case !== "hello") {
      throw invalid(`the first message is ${first.message.case ?? "empty"}, expected hello`);
    }
    const hello = decodeHello(first.message.value);
    assertOwnName(hello, context.identity);
    assertCompatible(hello.version, this.#options.version);
    const { admitWaitMaxMs } = this.#tuning;
    const waitMs = this.#admission.book(this.#clock.monotonicMs(), admitWaitMaxMs);
    if (waitMs === null) {
      throw new ClusterduckError(
        "UNREACHABLE",
        `Too many agents connect at once: more than ${admitWaitMaxMs} ms to wait`,
      );
    }
    if (waitMs > 0) await this.#clock.sleep(waitMs, context.signal);
    if (this.#options.replica.state.clusterId === "") {
      throw new ClusterduckError(
        "UNREACHABLE",
        `Coordinator "${this.#options.coordinatorId}" has no cluster yet; try again`,
      );
    }
    this.#refuseStranger(hello);
    if (context.signal.aborted || this.#stopping.signal.aborted) {
      throw new ClusterduckError("STOPPING", "The stream ended before it was admitted");
    }
    return hello;
  }

  /** The same stranger again and again is one event. @throws ClusterduckError CONFLICT */
  #refuseStranger(hello: AgentHello): void {
    try {
      assertSameCluster(hello, {
        id: this.#options.coordinatorId,
        clusterId: this.#options.replica.state.clusterId,
      });
      this.#strangers.delete(hello.id);
    } catch (thrown) {
      if (this.#strangers.get(hello.id) !== hello.clusterId) {
        if (this.#strangers.size >= STRANGERS_MAX) this.#strangers.clear();
        this.#strangers.set(hello.id, hello.clusterId);
        this.#logger.warn("agent.refused", { agent: hello.id, host: hello.host, error: thrown });
      }
      throw thrown;
    }
  }

  async #firstMessage(
    iterator: AsyncIterator<ConnectRequest>,
    context: CallContext,
  ): Promise<ConnectRequest> {
    const { helloTimeoutMs } = this.#tuning;
    const waiting = new AbortController();
    const signal = AbortSignal.any([waiting.signal, context.signal]);
    const timedOut = this.#clock.sleep(helloTimeoutMs, signal).then(() => null);
    const first = await Promise.race([iterator.next(), timedOut]);
    waiting.abort();
    if (first === null) throw new ClusterduckError("TIMED_OUT", `No hello within ${helloTimeoutMs} ms`);
    if (first.done === true) throw invalid("the stream ended without a hello");
    return first.value;
  }

  #connect(hello: AgentHello, connection: AgentConnection): FleetAgent {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#agents.get(hello.id);
    if (known !== undefined) assertMayConnect(hello, known, nowMs, this.#tuning);
    const agent = known ?? new FleetAgent(hello, nowMs);
    const previous = agent.connection;
    const isNews = !isDeepStrictEqual(introductionOf(agent.hello), introductionOf(hello));
    const lastSequence = agent.connect(hello, connection, nowMs);
    previous?.end(
      new ClusterduckError(
        "CONFLICT",
        `Agent "${hello.id}" has opened a newer stream from host "${hello.host}"`,
      ),
    );
    // At once, not when the stream's last message has left: a peer that stands still takes none.
    connection.ended.addEventListener("abort", () => this.#disconnect(agent, connection), { once: true });
    this.#agents.set(hello.id, agent);
    agent.heartbeatIntervalMs = this.#heartbeatIntervalMs();
    this.#replan();
    this.#logger.info("agent.connected", {
      agent: hello.id,
      host: hello.host,
      boot: hello.bootId,
      version: hello.version,
    });
    connection.acknowledge(lastSequence);
    connection.reassign();
    this.#announce(agent, isNews);
    return agent;
  }

  #announce(agent: FleetAgent, isNews: boolean): void {
    const { hello } = agent;
    if (!agent.isFound || isNews) {
      agent.isFound = true;
      const session = agent.session();
      for (const listener of this.#listeners) listener.onFound?.(session);
    }
    for (const outcome of hello.proxies) {
      for (const listener of this.#listeners) listener.onApplied?.(hello.id, outcome);
    }
    this.#options.onDeclared(hello.id, hello.nodes);
  }

  #disconnect(agent: FleetAgent, connection: AgentConnection): void {
    // A newer stream of the same agent has taken over: it is not lost.
    if (agent.connection !== connection) return;
    agent.connection = null;
    agent.lostCause = connection.endedBy?.message ?? "the stream ended";
    agent.isFound = false;
    if (this.#stopping.signal.aborted) return;
    this.#replan();
    this.#logger.warn("agent.lost", { agent: agent.hello.id, cause: agent.lostCause });
    const session = agent.session();
    for (const listener of this.#listeners) listener.onLost?.(session, agent.lostCause);
  }

  async #read(
    agent: FleetAgent,
    connection: AgentConnection,
    iterator: AsyncIterator<ConnectRequest>,
  ): Promise<void> {
    try {
      for (;;) {
        const next = await iterator.next();
        if (connection.ended.aborted) return;
        if (next.done === true) throw new ClusterduckError("STOPPING", "the agent stopped");
        this.#take(agent, connection, next.value);
      }
    } catch (thrown) {
      if (thrown instanceof ClusterduckError) {
        connection.end(thrown);
        return;
      }
      this.#logger.error("agent.message_failed", { agent: agent.hello.id, error: thrown });
      connection.end(new ClusterduckError("COMMAND_FAILED", `Cannot take a message: ${messageOf(thrown)}`));
    }
  }

  #take(agent: FleetAgent, connection: AgentConnection, { message }: ConnectRequest): void {
    const nowMs = this.#clock.monotonicMs();
    agent.lastHeardMs = nowMs;
    switch (message.case) {
      case "observations":
        return this.#takeBatch(agent, connection, message.value, nowMs);
      case "heartbeat":
        return this.#takeHeartbeat(agent, connection, message.value);
      case "applied": {
        const outcome = decodeOutcome(message.value);
        for (const listener of this.#listeners) listener.onApplied?.(agent.hello.id, outcome);
        return;
      }
      case "hello":
        throw invalid("a second hello on one stream");
      default:
        // A newer agent may have more to say than we understand.
        return;
    }
  }

  #takeBatch(agent: FleetAgent, connection: AgentConnection, batch: ObservationBatch, nowMs: number): void {
    const sequence = fromUint64(batch.sequence, "a batch's sequence number");
    // Read in any case: what it says may be repeated.
    const reports = connection.observations.read(batch, nowMs);
    // Sent again because our receipt was on its way when the last stream broke.
    if (sequence <= agent.lastSequence) return;
    const missing = sequence - agent.lastSequence - 1;
    if (missing > 0) this.#logger.warn("agent.batches_dropped", { agent: agent.hello.id, batches: missing });
    agent.lastSequence = sequence;
    agent.unacknowledged += reports.length;
    if (agent.unacknowledged >= this.#tuning.acknowledgeEvery) this.#acknowledge(agent, connection);
    for (const listener of this.#listeners) listener.onReports?.(agent.hello.id, reports);
  }

  /** The receipt that answers a heartbeat is also how the agent knows that we live. */
  #takeHeartbeat(agent: FleetAgent, connection: AgentConnection, heartbeat: Heartbeat): void {
    agent.selfDoubt = {
      level: Math.min(8, heartbeat.selfDoubt),
      cause: heartbeat.selfDoubtCause,
      loopDelayP99Ms: fromDuration(heartbeat.loopDelayP99Ms, "a heartbeat's loop delay"),
      cpuPressure: heartbeat.cpuPressure,
    };
    this.#acknowledge(agent, connection);
    for (const listener of this.#listeners) listener.onHeartbeat?.(agent.hello.id, agent.selfDoubt);
  }

  #acknowledge(agent: FleetAgent, connection: AgentConnection): void {
    agent.unacknowledged = 0;
    connection.acknowledge(agent.lastSequence);
  }

  #welcome(agent: FleetAgent): Response {
    const { state } = this.#options.replica;
    return {
      message: {
        case: "welcome",
        value: {
          clusterId: state.clusterId,
          coordinatorId: this.#options.coordinatorId,
          members: this.#members(),
          heartbeatIntervalMs: agent.heartbeatIntervalMs,
          term: toUint64(state.term),
        },
      },
    };
  }

  #members(): { id: string; agentAddress: string }[] {
    return this.#options.members().map((member) => ({ ...member }));
  }

  /** Grows with the fleet, so that all heartbeats together stay a small share of a core. */
  #heartbeatIntervalMs(): number {
    const { heartbeatMinMs, heartbeatMaxMs, heartbeatPerAgentMs } = this.#tuning;
    return Math.min(heartbeatMaxMs, Math.max(heartbeatMinMs, this.#agents.size * heartbeatPerAgentMs));
  }

  #nextAssignment(agent: FleetAgent): Response | null {
    const work = this.#currentPlan().work.get(agent.hello.id) ?? new Map<NodeKey, ScheduledNode>();
    return agent.nextAssignment(work, this.#options.replica.state.index);
  }

  #currentPlan(): Plan {
    this.#plan ??= planAssignments({
      state: this.#options.replica.state,
      agents: [...this.#agents.values()].map((agent) => agent.place()),
      networkIdentity: this.#options.networkIdentity,
    });
    return this.#plan;
  }

  /** Removed by an operator. Should it have connected just now, it is a new agent. */
  #forget(agentId: string): void {
    if (this.#agents.get(agentId)?.connection === null) this.#agents.delete(agentId);
  }

  #tellMembers(): void {
    for (const agent of this.#agents.values()) agent.connection?.tellMembers();
  }

  #replan(): void {
    this.#plan = null;
    for (const agent of this.#agents.values()) agent.connection?.reassign();
  }
}

/** What listeners know of an agent: another boot, or the same one that tells something new, is found again. */
function introductionOf({ bootId, host, zone, labels, version, proxies }: AgentHello): unknown {
  return [bootId, host, zone, labels, version, proxies.map(({ balancer }) => balancer)];
}

/** Whether an entry can change who checks what. */
function changesWork(applied: AppliedEntry): boolean {
  switch (applied.command?.type) {
    case "cut":
    case "setOverlay":
    case "agentFound":
    case "agentLost":
    case "startRun":
    case "finishRun":
    case "recordDelivery":
    case "setJoinSecret":
      return false;
    default:
      return true;
  }
}
