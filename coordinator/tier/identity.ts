import type { MessageInitShape } from "@bufbuild/protobuf";
import { canonicalAddress } from "../../common/model/address.js";
import { fromName, invalid } from "../../common/wire/values.js";
import type {
  CoordinatorIdentity,
  CoordinatorIdentitySchema,
} from "../../proto/gen/clusterduck/v1/tier_pb.js";
import { assertCoordinatorId } from "../coordinator-id.js";
import type { Command } from "../state/commands.js";
import type { Founder } from "./founding.js";

/** What a coordinator tells the others of itself, and what is committed of it. */
export type TierMember = Extract<Command, { type: "setMember" }>["member"];

/** A coordinator in one of its lives. */
export type LivingMember = TierMember & { readonly bootId: string };

/** A member as a founder, and whoever looks for a tier, knows it. */
export function founderOf({
  id,
  raftAddress,
  diskId,
}: Pick<TierMember, "id" | "raftAddress" | "diskId">): Founder {
  return { id, address: raftAddress, diskId };
}

export function encodeMember(member: LivingMember): MessageInitShape<typeof CoordinatorIdentitySchema> {
  return { ...member };
}

/** @throws ClusterduckError INVALID_ARGUMENT that names the field and what would work. */
export function decodeMember(wire: CoordinatorIdentity | undefined): LivingMember {
  if (wire === undefined) throw invalid("a coordinator does not say who it is");
  const { id, raftAddress, agentAddress, httpAddress, version, networkIdentity, diskId, bootId } = wire;
  const { featureLevel } = wire;
  assertCoordinatorId(id, "coordinator id");
  return {
    id,
    raftAddress: canonicalAddress(fromName(raftAddress, "the coordinator's raft address")),
    agentAddress,
    httpAddress,
    version,
    networkIdentity,
    diskId: fromName(diskId, "the coordinator's disk id"),
    featureLevel,
    bootId,
  };
}

/** The owner that runs are begun under: one life of one coordinator. */
export function ownerOf({ id, bootId }: Pick<LivingMember, "id" | "bootId">): string {
  return `coordinator:${id}#${bootId}`;
}
