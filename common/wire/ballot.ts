import type { MessageInitShape } from "@bufbuild/protobuf";

import type { Ballot, BallotEvidence } from "../model/cut.js";
import type { NodeState } from "../model/node.js";
import type { Outcome } from "../model/observation.js";
import { NodeState as WireState, Outcome as WireOutcome } from "../../proto/gen/clusterduck/v1/model_pb.js";
import type { BallotEvidenceSchema, BallotSchema } from "../../proto/gen/clusterduck/v1/model_pb.js";

const STATES: Readonly<Record<NodeState, WireState>> = {
  unknown: WireState.UNKNOWN,
  healthy: WireState.HEALTHY,
  degraded: WireState.DEGRADED,
  down: WireState.DOWN,
};

const OUTCOMES: Readonly<Record<Outcome, WireOutcome>> = {
  passed: WireOutcome.PASSED,
  degraded: WireOutcome.DEGRADED,
  failed: WireOutcome.FAILED,
  inconclusive: WireOutcome.INCONCLUSIVE,
};

export function nodeStateToWire(state: NodeState): WireState {
  return STATES[state];
}

export function evidenceToWire(evidence: BallotEvidence): MessageInitShape<typeof BallotEvidenceSchema> {
  return { ...evidence, outcome: OUTCOMES[evidence.outcome], reason: evidence.reason ?? "" };
}

export function ballotToWire(ballot: Ballot): MessageInitShape<typeof BallotSchema> {
  return {
    voter: ballot.voter,
    verdict: nodeStateToWire(ballot.verdict),
    rule: ballot.rule,
    evidence: ballot.evidence.map(evidenceToWire),
  };
}

export function outcomeToWire(outcome: Outcome): WireOutcome {
  return OUTCOMES[outcome];
}
