import type { ReplicatedConfig } from "../../common/config/model.js";
import type { Transition } from "../../common/model/cut.js";
import type { NodeAttributes, NodeRef, Overlay } from "../../common/model/node.js";
import type { AgentRecord, DeliveryRecord, JoinTokenRecord, MemberRecord } from "./model.js";

/** What can be put into the log. A new kind needs a new `type`; fields are only ever added. */
export type Command =
  | { readonly type: "initialise"; readonly clusterId: string }
  | {
      readonly type: "applyConfig";
      readonly config: ReplicatedConfig;
      readonly yaml: string;
      readonly source: "file" | "api";
      /** Hash of the file's text with source "file", else empty. */
      readonly fileHash: string;
      /** Refuse unless the revision is this one. */
      readonly ifRevision: number | null;
    }
  | {
      readonly type: "addNode";
      readonly node: NodeRef;
      readonly attributes: NodeAttributes;
      /** Succeed when it is there already with the same attributes. */
      readonly isIdempotent: boolean;
    }
  | { readonly type: "removeNode"; readonly node: NodeRef; readonly reason: string }
  /** All nodes that one agent declares: those it no longer declares leave. */
  | {
      readonly type: "declareNodes";
      readonly agentId: string;
      readonly nodes: readonly (NodeRef & { readonly attributes: NodeAttributes })[];
    }
  | {
      readonly type: "setOverlay";
      readonly node: NodeRef;
      readonly overlay: Overlay | null;
      /** Refuse unless the node's overlay ends at this time: for whoever ends what has run out. */
      readonly ifUntilMs?: number;
    }
  | {
      readonly type: "cut";
      readonly transitions: readonly Transition[];
      /** The term whose votes led to it: in another one it is refused. */
      readonly term?: number;
    }
  | { readonly type: "agentFound"; readonly agent: Omit<AgentRecord, "state" | "sinceMs"> }
  | { readonly type: "agentLost"; readonly agentId: string; readonly bootId: string; readonly cause: string }
  /** A lost agent that will not come back, with the nodes that it declared. */
  | { readonly type: "removeAgent"; readonly agentId: string }
  | {
      readonly type: "startRun";
      readonly runId: string;
      /** Its commands have ended after this long, milliseconds, whatever becomes of who started them. */
      readonly limitMs?: number;
    }
  | {
      readonly type: "finishRun";
      readonly runId: string;
      /** Refuse when another attempt is under way by now. */
      readonly attempt?: number;
      readonly exitCode: number | null;
      readonly signal: string | null;
      readonly outputTail: string;
      readonly error: string;
      readonly isSuccess: boolean;
      /** Try again at this time (Unix milliseconds); null: this was the last attempt. */
      readonly retryAtMs: number | null;
    }
  | { readonly type: "recordDelivery"; readonly delivery: Omit<DeliveryRecord, "atMs"> }
  /** A coordinator joins the tier, or tells something new about itself. */
  | {
      readonly type: "setMember";
      readonly member: Omit<MemberRecord, "sinceMs" | "removedAtMs">;
      /** The leader tells of itself: it has the log, so its disk may be another than it was (a snapshot was restored). */
      readonly isLeader?: true;
      /** It joins with this token, which works once. */
      readonly token?: Pick<JoinTokenRecord, "id">;
    }
  /** It is no member any more, and its id is not used again. */
  | { readonly type: "removeMember"; readonly memberId: string }
  /** The first one counts. */
  | { readonly type: "setJoinSecret"; readonly secret: string }
  /** Its maker is who asked. */
  | {
      readonly type: "addJoinToken";
      readonly token: Pick<JoinTokenRecord, "id" | "coordinatorId" | "expiresAtMs">;
    }
  /** It works no more, if it still did. */
  | { readonly type: "revokeJoinToken"; readonly tokenId: string }
  /**
   * Changes nothing, but takes the id of the request that it carries: an attempt of that request which is still under
   * way somewhere comes too late then.
   */
  | { readonly type: "closeRequest" }
  /** All members know this level by now. */
  | {
      readonly type: "raiseFeatureLevel";
      readonly level: number;
      /** Of the program that proposes it. */
      readonly version: string;
    };

/** A command with what its proposer stamps on it. */
export type StampedCommand = {
  /** The leader's wall clock, Unix milliseconds. The state machine never lets time run backwards. */
  readonly atMs: number;
  /** Who asked, for the audit trail: "leader", "file", "api:...". */
  readonly by: string;
  readonly command: Command;
  /** Of whoever asked: with an id that was applied already, this changes nothing and is answered as that one was. */
  readonly requestId?: string;
};

/** What applying did, the same on every member. */
export type CommandResult =
  | { readonly isAccepted: true }
  | {
      readonly isAccepted: false;
      readonly code: "CONFLICT" | "NOT_FOUND" | "INVALID_ARGUMENT" | "NOT_ADMITTED" | "VERSION_UNSUPPORTED";
      readonly message: string;
    };
