import type { ReplicatedConfig } from "../../common/config/model.js";
import type { Transition } from "../../common/model/cut.js";
import type {
  NodeAttributes,
  NodeKey,
  NodeRef,
  NodeSource,
  NodeState,
  Overlay,
} from "../../common/model/node.js";
import type { Command, CommandResult } from "./commands.js";

/** Everything the tier has agreed on. The state machine alone changes it; others read. */
export type StateView = {
  /** Given by the first entry; empty before. */
  readonly clusterId: string;
  /** Position of the last applied entry. */
  readonly index: number;
  readonly term: number;
  /** The leader's stamp of that entry, Unix milliseconds; never runs backwards. */
  readonly atMs: number;
  readonly config: ConfigRecord;
  readonly nodes: ReadonlyMap<NodeKey, NodeRecord>;
  readonly agents: ReadonlyMap<string, AgentRecord>;
  /** Clusters in panic: over `panicThreshold` of their nodes are bad. */
  readonly panics: ReadonlyMap<string, PanicRecord>;
  /** Oldest first, bounded. */
  readonly events: readonly EventRecord[];
  /** Oldest first, bounded. */
  readonly cuts: readonly CutRecord[];
  /** In the order of creation, bounded; pending and started ones are always kept. */
  readonly runs: ReadonlyMap<string, RunRecord>;
  /** Key: `balancer@target`. */
  readonly deliveries: ReadonlyMap<string, DeliveryRecord>;
  /** Coordinators of a tier, also those that were removed: their ids are never used again. */
  readonly members: ReadonlyMap<string, MemberRecord>;
  /** What join tokens are signed with; empty before the first one. */
  readonly joinSecret: string;
  /** Join tokens, until some time after they expired. Key: the token's id. */
  readonly joinTokens: ReadonlyMap<string, JoinTokenRecord>;
  /** What was answered to requests with an id: oldest first, bounded by number and by time. */
  readonly requests: ReadonlyMap<string, RequestRecord>;
  /** What all members know, so that the log may hold it. Only rises. */
  readonly featureLevel: FeatureLevel;
};

/** The first of the requests with one id. */
export type RequestRecord = {
  /** Of the entry that it made. */
  readonly index: number;
  /** Leader's stamp of that entry. */
  readonly atMs: number;
  readonly type: Command["type"];
  readonly result: CommandResult;
  /** What it made of the node that it was about, without attributes; absent where it was about none, or was refused. */
  readonly node?: NodeRecord;
};

export type FeatureLevel = {
  readonly level: number;
  /** Of the program that raised it; empty at level 0. */
  readonly version: string;
};

export type ConfigRecord = {
  /** Index of the entry that set it; 0: none yet. */
  readonly revision: number;
  readonly source: "file" | "api" | "none";
  /** Hash of the file text that was last taken from a file, to see whether the file changed since. */
  readonly fileHash: string;
  /** The text it came from. */
  readonly yaml: string;
  readonly value: ReplicatedConfig;
};

export type NodeRecord = {
  readonly cluster: string;
  readonly addr: string;
  readonly attributes: NodeAttributes;
  readonly source: NodeSource;
  /** The agent that declared it, for source "agent". */
  readonly declaredBy: string | null;
  /** Index of the entry that added it. */
  readonly epoch: number;
  readonly state: NodeState;
  /**
   * The last state that was not `unknown` (`unknown` before the first verdict): while a node is unknown,
   * renderers leave it as it was. A cut sets it; being added, re-added or changed otherwise does not.
   */
  readonly heldState: NodeState;
  readonly cause: string;
  readonly isConclusive: boolean;
  /** Leader's stamp of the cut (or of the addition). */
  readonly sinceMs: number;
  /** 0 before the first cut. */
  readonly cutIndex: number;
  readonly overlay: Overlay | null;
  readonly damping: { readonly penalty: number; readonly atMs: number };
};

export type AgentRecord = {
  readonly id: string;
  readonly bootId: string;
  readonly host: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  readonly state: "connected" | "lost";
  readonly sinceMs: number;
  readonly proxies: readonly string[];
  /** Equal for programs to which a loopback address means the same; absent in older records. */
  readonly networkIdentity?: string;
};

export type PanicRecord = { readonly sinceMs: number; readonly index: number };

export type CutRecord = {
  readonly index: number;
  readonly term: number;
  readonly atMs: number;
  readonly transitions: readonly Transition[];
};

export type EventType =
  | "state"
  | "nodes"
  | "active"
  | "overlay"
  | "config"
  | "panic"
  | "agent.found"
  | "agent.lost"
  | "agent.removed"
  | "coordinator.added"
  | "token.created"
  | "token.revoked"
  | "coordinator.removed"
  /** Fewer healthy spares than `min_spare_nodes`, or enough again. */
  | "spares"
  | "run.finished"
  | "delivery.failed"
  | "delivery.converged";

export type EventRecord = {
  readonly index: number;
  readonly term: number;
  /** Position among the events of one entry. */
  readonly ordinal: number;
  readonly type: EventType;
  readonly atMs: number;
  /** Empty where it concerns no cluster. */
  readonly cluster: string;
  readonly addr: string;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
};

/** One execution of one trigger for one (or, throttled, several) events. */
export type RunRecord = {
  /** `index.ordinal`: the entry that made it and its place there. */
  readonly id: string;
  readonly cluster: string;
  readonly trigger: string;
  readonly event: TriggerEventData;
  readonly eventIndex: number;
  readonly createdAtMs: number;
  readonly outcome: "pending" | "started" | "succeeded" | "failed";
  /** Earliest start, Unix milliseconds of the leader: later than `createdAtMs` when throttled. */
  readonly notBeforeMs: number;
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
  readonly attempts: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly outputTail: string;
  readonly error: string;
  /** The coordinator that began the newest attempt, and which of its lives it was; absent in older records. */
  readonly startedBy?: string;
  /** Its commands have ended this long after they began, milliseconds; absent in older records. */
  readonly limitMs?: number;
};

/** What a trigger's action is told: the seed's environment and JSON come from it. */
export type TriggerEventData = {
  readonly type: "nodes" | "active" | "state";
  readonly cluster: string;
  readonly index: number;
  readonly atMs: number;
  /** Addresses that traffic may go to, sorted, at the moment of the event. */
  readonly activeAddrs: readonly string[];
  readonly allAddrs: readonly string[];
  /** For `state`: which node, from and to. */
  readonly node:
    (NodeRef & { readonly from: NodeState; readonly to: NodeState; readonly cause: string }) | null;
};

/** The convergence ledger's committed line: failures and convergence, so that a new leader knows. */
export type DeliveryRecord = {
  readonly balancer: string;
  readonly target: string;
  readonly wantedGeneration: string;
  readonly appliedGeneration: string;
  readonly error: string;
  readonly atMs: number;
};

/** A coordinator of a tier, as it told of itself. Who votes in the log stands there, not here. */
export type MemberRecord = {
  readonly id: string;
  /** Where the other coordinators reach it, host:port. */
  readonly raftAddress: string;
  /** Where agents and duckctl reach it; empty until it has told. */
  readonly agentAddress: string;
  /** Empty: none, or not told yet. */
  readonly httpAddress: string;
  readonly version: string;
  /** Equal for coordinators to which a loopback address means the same. */
  readonly networkIdentity: string;
  /** Made once for each data directory: a coordinator that comes back with another one has forgotten its votes. */
  readonly diskId: string;
  /** The highest feature level that its program knows; absent, thus 0, in older records. */
  readonly featureLevel?: number;
  readonly sinceMs: number;
  /** Null while it is a member. */
  readonly removedAtMs: number | null;
};

/** A join token, without what makes it one: who reads the state cannot join with it. */
export type JoinTokenRecord = {
  readonly id: string;
  /** The coordinator that may join with it. */
  readonly coordinatorId: string;
  /** Who made it. */
  readonly by: string;
  readonly madeAtMs: number;
  readonly expiresAtMs: number;
  /** What ended it before its time; null: nothing. */
  readonly end: { readonly kind: "used" | "revoked"; readonly atMs: number; readonly by: string } | null;
};
