import type { MessageInitShape } from "@bufbuild/protobuf";
import type { JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import { ballotToWire, nodeStateToWire } from "../../../common/wire/ballot.js";
import type { EventSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import type { CutSchema } from "../../../proto/gen/clusterduck/v1/model_pb.js";
import type { CutRecord, EventRecord } from "../../state/model.js";

export function eventView(event: EventRecord): MessageInitShape<typeof EventSchema> {
  return {
    index: BigInt(event.index),
    term: BigInt(event.term),
    type: event.type,
    at: timestampFromMs(event.atMs),
    cluster: event.cluster,
    addr: event.addr,
    message: event.message,
    data: event.data as JsonObject,
    ordinal: event.ordinal,
  };
}

export function cutView(cut: CutRecord): MessageInitShape<typeof CutSchema> {
  return {
    index: BigInt(cut.index),
    term: BigInt(cut.term),
    decidedAt: timestampFromMs(cut.atMs),
    transitions: cut.transitions.map((transition) => ({
      node: transition.node,
      from: nodeStateToWire(transition.from),
      to: nodeStateToWire(transition.to),
      cause: transition.cause,
      ballots: transition.ballots.map(ballotToWire),
    })),
  };
}
