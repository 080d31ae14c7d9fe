import type { NodeRef } from "./node.js";

/** Why a check did not pass, in one word for programs. */
export type Reason =
  | "refused"
  | "timedOut"
  | "unreachable"
  | "reset"
  | "closed"
  | "dns"
  | "tls"
  | "certificateExpiry"
  | "protocol"
  | "badStatus"
  | "badBody"
  | "tooLarge"
  | "mismatch"
  | "loading"
  | "notWritable"
  | "busy"
  | "staleReplica"
  | "connectionLimit"
  | "auth"
  | "notServing"
  | "exitCode"
  | "slow"
  | "overloaded"
  | "internal";

/** Facts that a check collects (Redis role, lag, version, ...). */
export type Facts = Readonly<Record<string, string>>;

/** What one check saw, once. */
export type Observation =
  | {
      readonly outcome: "passed";
      readonly latencyMs: number;
      readonly facts?: Facts;
      readonly warnings?: readonly string[];
    }
  | {
      /** Alive, but not for every use. */
      readonly outcome: "degraded";
      readonly reason: Reason;
      /** The raw error text, for people. */
      readonly detail: string;
      readonly latencyMs: number;
      readonly facts?: Facts;
      readonly warnings?: readonly string[];
    }
  | {
      readonly outcome: "failed";
      readonly reason: Reason;
      readonly detail: string;
      readonly latencyMs: number;
      readonly facts?: Facts;
    }
  | {
      /** The observer cannot judge: an alert, never a vote. */
      readonly outcome: "inconclusive";
      readonly reason: Reason;
      readonly detail: string;
      readonly latencyMs: number;
      readonly facts?: Facts;
    };

export type Outcome = Observation["outcome"];

/** An observation with what its observer knows around it; what travels to the coordinators. */
export type ObservationReport = {
  readonly node: NodeRef;
  /** The check's id inside its cluster. */
  readonly check: string;
  readonly observation: Observation;
  /** How many times in a row the outcome was passing (passed, degraded) or not, this one included. */
  readonly consecutive: number;
  /** Refused connections in a row that were at least 100 ms apart. */
  readonly refusals: number;
  /** The process that served the port has exited and the port is closed. */
  readonly hasProcessExited: boolean;
  /** A reply is overdue though its timeout has not passed: a reason to look, never a vote. */
  readonly isDoubt: boolean;
  /** Observer's monotonic milliseconds at which the check ended. */
  readonly takenAtMs: number;
};
