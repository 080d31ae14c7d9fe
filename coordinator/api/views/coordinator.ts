import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import type { CoordinatorSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import { FEATURE_LEVEL } from "../../state/features.js";
import { isHeldUp } from "../../tier/tier-health.js";
import type { ControlContext } from "../context.js";

/** Every coordinator that is a member of the log, as this one sees it. */
export function coordinatorViews(context: ControlContext): MessageInitShape<typeof CoordinatorSchema>[] {
  const { log, replica, clock, tier } = context;
  const { leaderId } = log.leadership();
  return tier.members().map((member) => {
    const { id, role, address, isSelf, state, unheardMs, matchIndex, problem, trouble } = member;
    const known = replica.state.members.get(id);
    const told = isSelf ? context.address : (known?.agentAddress ?? "");
    return {
      id,
      address: told,
      role: id === leaderId ? "leader" : role === "learner" ? "learner" : "follower",
      raftAddress: known?.raftAddress ?? address,
      httpAddress: known?.httpAddress ?? "",
      version: isSelf ? context.version : (known?.version ?? ""),
      featureLevel: isSelf ? FEATURE_LEVEL : (known?.featureLevel ?? 0),
      state: trouble !== undefined && isHeldUp(member) ? trouble.kind : state,
      problem: [trouble, problem]
        .flatMap((each) => (each === undefined ? [] : [`${each.message}. ${each.hint}`]))
        .join(". "),
      ...(unheardMs === null ? {} : { lastHeardAt: timestampFromMs(Math.round(clock.wallMs() - unheardMs)) }),
      ...(matchIndex === null ? {} : { matchIndex: BigInt(matchIndex) }),
    };
  });
}
