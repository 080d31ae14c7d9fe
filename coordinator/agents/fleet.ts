import type { ApplyOutcome, Bundle } from "../../appliers/applier.js";
import type { ScheduledNode, SelfDoubt } from "../../checks/schedule.js";
import type { NodeRef } from "../../common/model/node.js";
import type { ObservationReport } from "../../common/model/observation.js";

/** An agent as this coordinator sees it now; what is committed of it stands in the replicated state. */
export type AgentSession = {
  readonly id: string;
  readonly bootId: string;
  readonly zone: string;
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  /** Equal for programs to which a loopback address means the same. */
  readonly networkIdentity: string;
  readonly isConnected: boolean;
  /** The word for people why the stream ended; empty while it is there. */
  readonly lostCause: string;
  /** Monotonic milliseconds of this coordinator. */
  readonly lastHeartbeatMs: number;
  readonly selfDoubt: SelfDoubt;
  readonly proxies: readonly string[];
};

export type FleetListener = {
  /** Reports with `takenAtMs` already moved to this coordinator's monotonic clock (receipt minus age). */
  readonly onReports?: (agentId: string, reports: readonly ObservationReport[]) => void;
  readonly onHeartbeat?: (agentId: string, selfDoubt: SelfDoubt) => void;
  readonly onFound?: (session: AgentSession) => void;
  readonly onLost?: (session: AgentSession, cause: string) => void;
  readonly onApplied?: (agentId: string, outcome: ApplyOutcome) => void;
};

/** The agents connected to this coordinator. */
export interface Fleet {
  sessions(): readonly AgentSession[];
  /** The agent that stands beside a node, connected or not; null: nobody does, coordinators probe it. */
  agentBeside(node: NodeRef): string | null;
  /**
   * Whether a node's address means the same for this coordinator as for who gave it: a loopback or unix address
   * that was declared on another host does not.
   */
  canReach(node: NodeRef): boolean;
  /** Connected agents that could look at a node from another place than beside it. */
  peersOf(node: NodeRef): readonly AgentSession[];
  /** Asks an agent to look at a node at once. Does nothing when it is not connected. */
  probe(agentId: string, node: ScheduledNode, durationMs: number): void;
  /** Hands a bundle to an agent; false when it is not connected. Its outcome arrives at `onApplied`. */
  apply(agentId: string, bundle: Bundle): boolean;
  listen(listener: FleetListener): () => void;
}
