import type { ScheduledNode, SelfDoubt } from "../../checks/schedule.js";
import type { NodeKey } from "../../common/model/node.js";
import { encodeNode } from "../../common/wire/assignment.js";
import { toUint64 } from "../../common/wire/values.js";
import type { AgentPlace } from "./assignment.js";
import { diffAssignments } from "./assignment.js";
import type { AgentConnection, Response } from "./connection.js";
import type { AgentSession } from "./fleet.js";
import type { AgentHello } from "./hello.js";

const SURE: SelfDoubt = { level: 0, cause: "", loopDelayP99Ms: 0, cpuPressure: -1 };

/** What this coordinator remembers of one agent, over its connections and restarts. */
export class FleetAgent {
  hello: AgentHello;
  connection: AgentConnection | null = null;
  lostCause = "";
  selfDoubt: SelfDoubt = SURE;
  lastHeardMs: number;
  /** Announced as found, and not yet as lost. */
  isFound = false;
  heartbeatIntervalMs = 0;
  /** Newest batch that was taken. */
  lastSequence = 0;
  /** Observations since the last receipt. */
  unacknowledged = 0;
  /** Boots that a newer one of the same host has replaced: they may not come back while it lives. */
  readonly replacedBoots = new Set<string>();
  #hasConnected = false;
  #sentRevision = 0;
  #sent: ReadonlyMap<NodeKey, ScheduledNode> = new Map();

  constructor(hello: AgentHello, nowMs: number) {
    this.hello = hello;
    this.lastHeardMs = nowMs;
  }

  /**
   * A new stream of this agent. Returns the newest batch that we have of this boot; 0: we know nothing of
   * it, so the agent tells us how things stand.
   */
  connect(hello: AgentHello, connection: AgentConnection, nowMs: number): number {
    const isSameBoot = hello.bootId === this.hello.bootId;
    const known = isSameBoot && this.#hasConnected ? this.lastSequence : 0;
    if (!isSameBoot) this.replacedBoots.add(this.hello.bootId);
    if (known === 0) this.lastSequence = hello.firstSequence - 1;
    // Only who holds exactly what we sent last can be told a difference to it.
    if (!isSameBoot || hello.assignmentRevision !== this.#sentRevision) {
      this.#sentRevision = 0;
      this.#sent = new Map();
    }
    this.hello = hello;
    this.connection = connection;
    this.lostCause = "";
    this.lastHeardMs = nowMs;
    this.unacknowledged = 0;
    this.#hasConnected = true;
    return known;
  }

  /** The message that brings the agent from what it holds to `work`; null when it holds it already. */
  nextAssignment(work: ReadonlyMap<NodeKey, ScheduledNode>, stateIndex: number): Response | null {
    const isFull = this.#sentRevision === 0;
    const { changed, removed } = diffAssignments(this.#sent, work);
    if (!isFull && changed.length === 0 && removed.length === 0) return null;
    const baseRevision = this.#sentRevision;
    // The state's index, so that the revisions of all coordinators compare; it must grow all the same when
    // an agent that came or went changed our plan, and the state did not.
    this.#sentRevision = Math.max(stateIndex, baseRevision + 1);
    this.#sent = work;
    return {
      message: {
        case: "assignment",
        value: {
          revision: toUint64(this.#sentRevision),
          isFull,
          baseRevision: toUint64(baseRevision),
          nodes: changed.map(encodeNode),
          removed: [...removed],
        },
      },
    };
  }

  place(): AgentPlace {
    const { id, host, addresses, networkIdentity } = this.hello;
    return { id, host, addresses, networkIdentity, isConnected: this.connection !== null };
  }

  session(): AgentSession {
    const { id, bootId, zone, host, labels, version, proxies, networkIdentity } = this.hello;
    return {
      id,
      bootId,
      zone,
      host,
      labels,
      version,
      networkIdentity,
      isConnected: this.connection !== null,
      lostCause: this.lostCause,
      lastHeartbeatMs: this.lastHeardMs,
      selfDoubt: this.selfDoubt,
      proxies: proxies.map(({ balancer }) => balancer),
    };
  }
}
