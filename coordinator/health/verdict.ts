/** What one coordinator believes of one node: conclusive evidence first, then the worst of its checks. */
import type { CheckConfig, ClusterConfig } from "../../common/config/model.js";
import type { NodeState } from "../../common/model/node.js";
import { complaintText, judgeCheck } from "./check-verdict.js";
import type { CheckState, CheckVerdict } from "./check-verdict.js";
import { isAnswering, isCounted, isRefused } from "./evidence.js";
import type { Evidence } from "./evidence.js";

export type Verdict = {
  /** `unknown`: too little or mixed evidence, the committed state stays. */
  readonly state: NodeState;
  /** The rule in words. */
  readonly rule: string;
  /** What is wrong, for people; empty for healthy. */
  readonly cause: string;
  /** Dead for certain. */
  readonly isConclusive: boolean;
  /** Somebody's fresh word was there, even if it did not suffice. */
  readonly isInformed: boolean;
  /** Somebody accuses and it is not decided yet: others may follow within moments. */
  readonly isAccused: boolean;
  readonly isProbeWanted: boolean;
};

export type NodeSurroundings = {
  readonly cluster: Pick<ClusterConfig, "checks" | "passWithoutChecks">;
  readonly isLocalExpected: (check: CheckConfig) => boolean;
  readonly memberCount: number;
  /** This coordinator's own probe can reach the node. */
  readonly mayProbe: boolean;
};

/** Remote observers whose refusals suffice together when the local agent says nothing. */
const REMOTE_REFUSALS = 3;

const SEVERITY: readonly CheckState[] = ["down", "hold", "silent", "degraded", "healthy"];

export function judge(evidence: readonly Evidence[], around: NodeSurroundings): Verdict {
  const { checks } = around.cluster;
  if (checks.length === 0) return withoutChecks(around.cluster.passWithoutChecks);
  const isInformed = evidence.some(isCounted);
  const death = conclusiveDeath(evidence);
  if (death !== null) {
    const { rule, cause } = death;
    return {
      state: "down",
      rule,
      cause,
      isConclusive: true,
      isInformed: true,
      isAccused: true,
      isProbeWanted: false,
    };
  }
  const verdicts = checks.map((check) =>
    judgeCheck(
      check,
      evidence.filter((each) => each.check.id === check.id),
      {
        isLocalExpected: around.isLocalExpected(check),
        memberCount: around.memberCount,
        mayProbe: around.mayProbe,
      },
    ),
  );
  const worst = worstOf(verdicts);
  return {
    state: stateOf(worst.state),
    rule: checks.length === 1 ? worst.rule : `check ${worst.check}: ${worst.rule}`,
    cause: worst.cause,
    isConclusive: false,
    isInformed,
    isAccused: evidence.some((each) => each.standing === "faltering" || each.standing === "failing"),
    isProbeWanted: verdicts.some((each) => each.isProbeWanted),
  };
}

/**
 * Certain death needs no waiting: somebody on its host saw the process exit and its port closed; or connections
 * are refused to the local agent and a remote observer, or to three remote ones. One observer's refusal may
 * be a firewall. Any answer since then refutes it.
 */
function conclusiveDeath(evidence: readonly Evidence[]): { rule: string; cause: string } | null {
  const lastAnswerMs = evidence
    .filter(isAnswering)
    .reduce((latest, each) => Math.max(latest, each.memory.report.takenAtMs), Number.NEGATIVE_INFINITY);
  const exited = evidence.find(
    ({ standing, memory }) =>
      standing !== "stale" &&
      standing !== "unverified" &&
      memory.exitedAtMs !== null &&
      memory.exitedAtMs >= lastAnswerMs,
  );
  if (exited !== undefined) {
    const rule = `the process exited and its port is closed, seen by ${exited.observer}`;
    return { rule, cause: `process exited; ${complaintText(exited)}` };
  }
  const refused = evidence.filter(
    (each) => isRefused(each) && (each.memory.refusedSinceMs ?? lastAnswerMs) > lastAnswerMs,
  );
  const local = refused.find((each) => each.role === "local");
  const remotes = new Set(refused.filter((each) => each.role !== "local").map((each) => each.observer));
  const [first] = refused;
  if (first === undefined || remotes.size < (local === undefined ? REMOTE_REFUSALS : 1)) return null;
  const who = [...(local === undefined ? [] : [local.observer]), ...remotes].join(", ");
  return {
    rule: `connections are refused, at least twice each, to ${who}`,
    cause: complaintText(local ?? first),
  };
}

/** The worst check decides. One that nobody can judge is left out while others can be judged. */
function worstOf(verdicts: readonly CheckVerdict[]): CheckVerdict {
  for (const state of SEVERITY) {
    const found = verdicts.find((each) => each.state === state);
    if (found !== undefined) return found;
  }
  const [mute] = verdicts;
  if (mute === undefined) throw new Error("judge() needs at least one check");
  return mute;
}

function stateOf(state: CheckState): NodeState {
  return state === "hold" || state === "silent" || state === "mute" ? "unknown" : state;
}

function withoutChecks(isPassing: boolean): Verdict {
  return {
    state: isPassing ? "healthy" : "unknown",
    rule: isPassing
      ? "its cluster has no checks and counts nodes as healthy (pass_without_checks)"
      : "its cluster has no checks",
    cause: "",
    isConclusive: false,
    isInformed: true,
    isAccused: false,
    isProbeWanted: false,
  };
}
