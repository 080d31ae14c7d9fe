import type { MessageInitShape } from "@bufbuild/protobuf";
import { canonicalAddress } from "../../common/model/address.js";
import { fromName, invalid } from "../../common/wire/values.js";
import type {
  CoordinatorIdentity,
  CoordinatorIdentitySchema,
} from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { Command } from "../state/commands.js";

/** What a coordinator tells the others of itself, and what is committed of it. */
export type TierMember = Extract<Command, { type: "setMember" }>["member"];

/** A coordinator in one of its lives. */
export type LivingMember = TierMember & { readonly bootId: string };

const COORDINATOR_ID = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;

export function encodeMember(member: LivingMember): MessageInitShape<typeof CoordinatorIdentitySchema> {
  return { ...member };
}

/** @throws ClusterduckError INVALID_ARGUMENT that names the field and what would work. */
export function decodeMember(wire: CoordinatorIdentity | undefined): LivingMember {
  if (wire === undefined) throw invalid("a coordinator does not say who it is");
  const { id, raftAddress, agentAddress, httpAddress, version, networkIdentity, diskId, bootId } = wire;
  if (!COORDINATOR_ID.test(id)) {
    throw invalid(
      `the coordinator's id is ${JSON.stringify(id.slice(0, 200))}, expected 1 to 128 letters, digits or any of . _ : @ -`,
    );
  }
  return {
    id,
    raftAddress: canonicalAddress(fromName(raftAddress, "the coordinator's raft address")),
    agentAddress,
    httpAddress,
    version,
    networkIdentity,
    diskId: fromName(diskId, "the coordinator's disk id"),
    bootId,
  };
}

/** The owner that runs are begun under: one life of one coordinator. */
export function ownerOf({ id, bootId }: Pick<LivingMember, "id" | "bootId">): string {
  return `coordinator:${id}#${bootId}`;
}
