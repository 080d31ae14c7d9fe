import { ClusterduckError } from "../../common/errors.js";
import { bindService } from "../../common/grpc/service.js";
import type { BoundService, ServiceHandlers } from "../../common/grpc/service.js";
import { TierService } from "../../proto/gen/clusterduck/v1/tier_pb.js";

type Answered = Partial<Pick<ServiceHandlers<typeof TierService>, "introduce" | "challenge">>;

/** What the others of a tier to come are told: whoever wants something of this coordinator asks again in a moment. */
export function tierlessService(id: string, answered: Answered = {}): BoundService {
  const notYet = async (): Promise<never> => {
    throw belongsToNoTier(id);
  };
  const handlers = {
    introduce: notYet,
    challenge: notYet,
    join: notYet,
    forwardCall: notYet,
    report: async function* () {
      await notYet();
    },
    ...answered,
  };
  return bindService(TierService, handlers, ["member"]);
}

export function belongsToNoTier(id: string): ClusterduckError {
  return new ClusterduckError("UNREACHABLE", `Coordinator "${id}" belongs to no tier yet`);
}
