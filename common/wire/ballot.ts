import type { MessageInitShape } from "@bufbuild/protobuf";

import type { Ballot, BallotEvidence } from "../model/cut.js";
import type { NodeState } from "../model/node.js";
import { NodeState as WireState } from "../../proto/gen/clusterduck/v1/model_pb.js";
import type {
  Ballot as WireBallot,
  BallotEvidence as WireEvidence,
  BallotEvidenceSchema,
  BallotSchema,
} from "../../proto/gen/clusterduck/v1/model_pb.js";
import { outcomeFromWire, outcomeToWire, reasonFromWire } from "./observation.js";
import { fromDuration, fromName, invalid } from "./values.js";

const STATES: Readonly<Record<NodeState, WireState>> = {
  unknown: WireState.UNKNOWN,
  healthy: WireState.HEALTHY,
  degraded: WireState.DEGRADED,
  down: WireState.DOWN,
};

export function nodeStateToWire(state: NodeState): WireState {
  return STATES[state];
}

export function evidenceToWire(evidence: BallotEvidence): MessageInitShape<typeof BallotEvidenceSchema> {
  return { ...evidence, outcome: outcomeToWire(evidence.outcome), reason: evidence.reason ?? "" };
}

export function ballotToWire(ballot: Ballot): MessageInitShape<typeof BallotSchema> {
  return {
    voter: ballot.voter,
    verdict: nodeStateToWire(ballot.verdict),
    rule: ballot.rule,
    evidence: ballot.evidence.map(evidenceToWire),
  };
}

/** @throws ClusterduckError INVALID_ARGUMENT for what no coordinator of ours sends. */
export function ballotFromWire(wire: WireBallot | undefined): Ballot {
  if (wire === undefined) throw invalid("a vote has no ballot");
  return {
    voter: fromName(wire.voter, "a voter"),
    verdict: nodeStateFromWire(wire.verdict),
    rule: wire.rule,
    evidence: wire.evidence.map(evidenceFromWire),
  };
}

function nodeStateFromWire(state: WireState): NodeState {
  const found = (Object.keys(STATES) as NodeState[]).find((each) => STATES[each] === state);
  if (found !== undefined) return found;
  throw invalid(`a verdict is ${state}, expected 1 to 4`);
}

function evidenceFromWire(wire: WireEvidence): BallotEvidence {
  return {
    observer: fromName(wire.observer, "an observer"),
    check: fromName(wire.check, "a check"),
    outcome: outcomeFromWire(wire.outcome),
    reason: reasonFromWire(wire.reason),
    detail: wire.detail,
    ageMs: fromDuration(wire.ageMs, "the age of evidence"),
    latencyMs: fromDuration(wire.latencyMs, "a latency"),
    consecutive: wire.consecutive,
    threshold: wire.threshold,
    isConclusive: wire.isConclusive,
    isAbstaining: wire.isAbstaining,
  };
}
