/** Says in words what this coordinator believes of a node, and what holds the committed state. */
import type { Ballot, BallotEvidence } from "../../common/model/cut.js";
import type { NodeState } from "../../common/model/node.js";
import type { Facts } from "../../common/model/observation.js";
import type { NodeJudgement } from "./decider.js";
import { toBallotEvidence } from "./evidence.js";
import type { Evidence, Role } from "./evidence.js";
import { SILENCE_MS } from "./tally.js";

export type Explanation = {
  readonly committed: NodeState;
  /** What this coordinator's own evidence says now. */
  readonly verdict: NodeState;
  readonly cause: string;
  /** The count of votes, in words. */
  readonly tally: string;
  /** What keeps the committed state from following; empty when they agree. */
  readonly hold: string;
  readonly ballots: readonly Ballot[];
};

export function explain(judgement: NodeJudgement): Explanation {
  const { record, verdict, tally, votes } = judgement;
  return {
    committed: record.state,
    verdict: verdict.state,
    cause: verdict.cause,
    tally: tally.words,
    hold: holdWords(judgement),
    ballots: votes.map((vote) => vote.ballot),
  };
}

export function holdWords({ record, verdict, tally, hold }: NodeJudgement): string {
  if (tally.kind === "decided") {
    return tally.state === record.state ? "" : (hold ?? "the change is being committed");
  }
  if (tally.kind === "silent") {
    const isUnknown = record.state === "unknown";
    const end = isUnknown ? "" : `; ${hold ?? `unknown after ${SILENCE_MS / 1_000} s of it`}`;
    return `${tally.words}: ${verdict.rule}${end}`;
  }
  return verdict.state === "unknown" ? verdict.rule : tally.words;
}

const ROLES: readonly Role[] = ["local", "own", "peer"];

/** Nearest observers first. */
export function nearestFirst(evidence: readonly Evidence[]): readonly Evidence[] {
  return [...evidence].sort((a, b) => ROLES.indexOf(a.role) - ROLES.indexOf(b.role));
}

export function ballotEvidence(evidence: readonly Evidence[]): readonly BallotEvidence[] {
  return nearestFirst(evidence).map(toBallotEvidence);
}

/** What checks collected; where observers differ, the nearest is believed. */
export function factsOf(evidence: readonly Evidence[]): Facts {
  return Object.assign(
    {},
    ...[...nearestFirst(evidence)].reverse().map((each) => each.memory.facts),
  ) as Facts;
}

export function warningsOf(evidence: readonly Evidence[]): readonly string[] {
  const warnings = evidence.flatMap(({ memory }) => {
    const { observation } = memory.report;
    return "warnings" in observation ? (observation.warnings ?? []) : [];
  });
  return [...new Set(warnings)];
}
