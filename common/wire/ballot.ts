import type { MessageInitShape } from "@bufbuild/protobuf";

import type { Ballot, BallotEvidence } from "../model/cut.js";
import type { NodeState } from "../model/node.js";
import { NodeState as WireState } from "../../proto/gen/clusterduck/v1/model_pb.js";
import type { BallotEvidenceSchema, BallotSchema } from "../../proto/gen/clusterduck/v1/model_pb.js";
import { outcomeToWire } from "./observation.js";

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
