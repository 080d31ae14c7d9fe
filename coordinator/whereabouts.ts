import { randomUUID } from "node:crypto";

import { networkIdentity } from "../common/net/host-identity.js";
import { VERSION } from "../common/version.js";
import { FEATURE_LEVEL } from "./state/features.js";
import type { LivingMember } from "./tier/identity.js";

/** What a coordinator tells of itself. Its addresses are empty until it serves there. */
export class Whereabouts {
  agentAddress = "";
  httpAddress = "";
  readonly #fixed: Omit<LivingMember, "agentAddress" | "httpAddress">;

  constructor({ id, raftAddress, diskId }: Pick<LivingMember, "id" | "raftAddress" | "diskId">) {
    this.#fixed = {
      id,
      raftAddress,
      diskId,
      version: VERSION,
      featureLevel: FEATURE_LEVEL,
      networkIdentity: networkIdentity(),
      bootId: randomUUID(),
    };
  }

  /** As it is now. */
  self(): LivingMember {
    const { agentAddress, httpAddress } = this;
    return { ...this.#fixed, agentAddress, httpAddress };
  }
}
