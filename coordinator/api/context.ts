import type { Schedule } from "../../checks/schedule.js";
import type { Clock } from "../../common/clock.js";
import type { FileConfig } from "../../common/config/model.js";
import type { Ballot, BallotEvidence } from "../../common/model/cut.js";
import type { NodeRef } from "../../common/model/node.js";
import type { Facts } from "../../common/model/observation.js";
import type { TlsSource } from "../../common/tls/source.js";
import type { Fleet } from "../agents/fleet.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import type { MemberHealth } from "../tier/tier-health.js";
import type { Replica } from "../replica.js";
import type { Asker } from "./propose.js";

/** What the control service reads and writes; the composition root gathers it. */
export type ControlContext = {
  readonly coordinatorId: string;
  readonly version: string;
  /** The gRPC address that other programs reach this coordinator at. */
  readonly address: string;
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly log: Pick<ReplicatedLog, "leadership" | "members" | "status">;
  readonly replica: Replica;
  readonly fleet: Fleet;
  readonly schedule: Pick<Schedule, "runOnce" | "selfDoubt">;
  readonly knowledge: NodeKnowledge;
  readonly balancers: BalancerLedger;
  /** Null or left out: without TLS. */
  readonly tls?: TlsSource | null;
  /** Reads a configuration as the daemon would. @throws ClusterduckError CONFIG_INVALID with every problem. */
  readonly parseConfig: (yaml: string) => Promise<FileConfig>;
  /** The position of the newest snapshot and its bytes. */
  readonly takeSnapshot: () => Promise<Uint8Array>;
  readonly tier: TierControl;
};

/** The coordinators themselves: who answers, and what operators change about them. */
export interface TierControl {
  /** Those that the log has as members, sorted by id. */
  members(): readonly MemberHealth[];
  /** Those that are missing, in words; empty: none that this coordinator knows of. */
  missingWords(): string;
  noLeaderWords(): { readonly message: string; readonly hint: string };
  /** The same request is answered with the same token. @throws ClusterduckError NOT_LEADER, CONFLICT for an id that is or was a member's. */
  createJoinToken(id: string, validMs: number, asker: Asker): Promise<MadeToken>;
  /** The token that a request has made, for whoever asks again. @throws ClusterduckError NOT_FOUND when it is gone since. */
  tokenOf(requestId: string): MadeToken;
  /** By its id, or the whole token. Resolves to the id. @throws ClusterduckError NOT_LEADER, NOT_FOUND, CONFLICT when it was used. */
  revokeJoinToken(idOrToken: string, asker: Asker): Promise<string>;
  /** @throws ClusterduckError NOT_LEADER, NOT_FOUND, CONFLICT with the reason in words. */
  remove(id: string, asker: Asker): Promise<void>;
  /** @throws as `remove`. */
  promote(id: string): Promise<void>;
  /** Empty: to whoever lacks least. @throws as `remove`. */
  transferLeadership(to: string): Promise<void>;
}

export type MadeToken = {
  readonly id: string;
  readonly token: string;
  readonly addresses: readonly string[];
  readonly expiresAtMs: number;
};

/** What this coordinator knows of nodes beyond what is committed. */
export interface NodeKnowledge {
  /** The verdict now; null before any observation. */
  ballotOf(node: NodeRef): Ballot | null;
  /** What keeps the committed state from following the verdict; empty when they agree. */
  holdOf(node: NodeRef): string;
  /** Every observer's last word on every check of the node. */
  evidenceOf(node: NodeRef): readonly BallotEvidence[];
  factsOf(node: NodeRef): Facts;
  warningsOf(node: NodeRef): readonly string[];
}

/** What is rendered, and what has become of it at every proxy. */
export interface BalancerLedger {
  balancers(): readonly BalancerStatus[];
}

export type BalancerStatus = {
  readonly name: string;
  readonly wantedGeneration: string;
  readonly config: string;
  readonly warnings: readonly string[];
  readonly proxies: readonly {
    /** Agent id, or `local`. */
    readonly target: string;
    readonly appliedGeneration: string;
    readonly observedGeneration: string;
    readonly state: "converged" | "pending" | "failed" | "drifted" | "unreachable";
    readonly error: string;
    readonly ageMs: number;
    readonly method: string;
    readonly durationMs: number;
  }[];
};
