import type { MessageInitShape } from "@bufbuild/protobuf";

import type { NodeRef } from "../../common/model/node.js";
import { ballotFromWire, ballotToWire } from "../../common/wire/ballot.js";
import { fromNodeRef, fromUint64, invalid, toUint64 } from "../../common/wire/values.js";
import type { HealthVote, HealthVoteSchema } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { MemberVote } from "../health/world.js";

export type NodeVote = { readonly node: NodeRef; readonly vote: MemberVote };

export function encodeVote({ node, vote }: NodeVote): MessageInitShape<typeof HealthVoteSchema> {
  return {
    node: { cluster: node.cluster, addr: node.addr },
    epoch: toUint64(vote.epoch),
    policyRevision: toUint64(vote.policyRevision),
    ballot: ballotToWire(vote.ballot),
    cause: vote.cause,
    isInformed: vote.isInformed,
    isConclusive: vote.isConclusive,
  };
}

/**
 * A vote as it arrived from `voter`, who speaks for nobody else.
 * @throws ClusterduckError INVALID_ARGUMENT for what no coordinator of ours sends.
 */
export function decodeVote(wire: HealthVote, voter: string): NodeVote {
  const ballot = ballotFromWire(wire.ballot);
  if (ballot.voter !== voter) throw invalid(`coordinator "${voter}" sends a vote of "${ballot.voter}"`);
  const vote = {
    epoch: fromUint64(wire.epoch, "a node's epoch"),
    policyRevision: fromUint64(wire.policyRevision, "a configuration's revision"),
    verdict: ballot.verdict,
    ballot,
    cause: wire.cause,
    isInformed: wire.isInformed,
    isConclusive: wire.isConclusive,
  };
  return { node: fromNodeRef(wire.node), vote };
}
