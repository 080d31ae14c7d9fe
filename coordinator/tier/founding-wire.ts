import type { MessageInitShape } from "@bufbuild/protobuf";
import { canonicalAddress } from "../../common/model/address.js";
import { fromName, invalid } from "../../common/wire/values.js";
import type {
  Founder as WireFounder,
  FoundingView as WireView,
  FoundingViewSchema,
} from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { Founder, FoundingView } from "./founding.js";

export function encodeView(view: FoundingView, version: string): MessageInitShape<typeof FoundingViewSchema> {
  const { self, expect, known, promised, clusterId, members } = view;
  return {
    self: { ...self },
    expect,
    known: known.map((each) => ({ ...each })),
    promised: (promised ?? []).map((each) => ({ ...each })),
    clusterId,
    members: members.map((each) => ({ ...each })),
    version,
  };
}

/** @throws ClusterduckError INVALID_ARGUMENT */
export function decodeView(wire: WireView): FoundingView {
  if (wire.self === undefined) throw invalid("a coordinator does not say who it is");
  return {
    self: decodeFounder(wire.self),
    expect: wire.expect,
    known: wire.known.map(decodeFounder),
    promised: wire.promised.length === 0 ? null : wire.promised.map(decodeFounder),
    clusterId: wire.clusterId,
    members: wire.members.map(decodeFounder),
  };
}

function decodeFounder({ id, address, diskId }: WireFounder): Founder {
  return {
    id: fromName(id, "a coordinator's id"),
    // One spelling, as what was heard is kept by address, and an address that is none must get into no log.
    address: canonicalAddress(fromName(address, "a coordinator's address")),
    diskId: fromName(diskId, "a coordinator's disk id"),
  };
}
