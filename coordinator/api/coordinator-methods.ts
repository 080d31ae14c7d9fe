import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import { ClusterduckError } from "../../common/errors.js";
import type { ServiceHandlers } from "../../common/grpc/service.js";
import type { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { assertCoordinatorId } from "../coordinator-id.js";
import type { ControlContext, MadeToken } from "./context.js";
import { askerOf, once } from "./propose.js";
import { upToDate } from "./up-to-date.js";
import { coordinatorViews } from "./views/coordinator.js";
import { joinTokenView } from "./views/join-token.js";

type CoordinatorMethods = Pick<
  ServiceHandlers<typeof ControlService>,
  | "listCoordinators"
  | "createJoinToken"
  | "listJoinTokens"
  | "revokeJoinToken"
  | "removeCoordinator"
  | "promoteCoordinator"
  | "transferLeadership"
>;

const TOKEN_MIN_MS = 1_000;
/** A token that lies around for longer is a key under the doormat. Milliseconds. */
const TOKEN_MAX_MS = 7 * 86_400_000;

export function coordinatorMethods(context: ControlContext): CoordinatorMethods {
  const { tier, log, replica, clock } = context;
  return {
    listCoordinators: async (request) => {
      await upToDate(replica, request);
      const { leaderId, term } = log.leadership();
      return {
        coordinators: coordinatorViews(context),
        clusterId: replica.state.clusterId,
        leaderId: leaderId ?? "",
        term: BigInt(term),
        commitIndex: BigInt(log.status().commitIndex),
        featureLevel: replica.state.featureLevel.level,
      };
    },

    createJoinToken: async (request, call) => {
      const { id, validMs } = request;
      const asker = askerOf(request, call);
      assertCoordinatorId(id, "coordinator id");
      if (!(validMs >= TOKEN_MIN_MS && validMs <= TOKEN_MAX_MS)) {
        throw new ClusterduckError(
          "INVALID_ARGUMENT",
          `Invalid validity ${validMs} ms: expected a second to seven days`,
        );
      }
      const answer = ({ token, id: tokenId, addresses, expiresAtMs }: MadeToken) => ({
        token,
        tokenId,
        addresses: [...addresses],
        expiresAt: timestampFromMs(expiresAtMs),
      });
      return once(
        replica,
        { ...asker, type: "addJoinToken" },
        async () => answer(await tier.createJoinToken(id, validMs, asker)),
        () => answer(tier.tokenOf(asker.requestId)),
      );
    },

    listJoinTokens: async (request) => {
      await upToDate(replica, request);
      return {
        tokens: [...replica.state.joinTokens.values()]
          .sort((left, right) => right.madeAtMs - left.madeAtMs)
          .map((each) => joinTokenView(each, clock.wallMs())),
      };
    },

    // Idempotent by itself: what was revoked is revoked.
    revokeJoinToken: async (request, call) => ({
      id: await tier.revokeJoinToken(request.id, askerOf(request, call)),
    }),

    removeCoordinator: async (request, call) => {
      const asker = askerOf(request, call);
      const answer = () => ({ leaderId: log.leadership().leaderId ?? "" });
      return once(
        replica,
        { ...asker, type: "removeMember" },
        async () => {
          await tier.remove(request.id, asker);
          return answer();
        },
        answer,
      );
    },

    promoteCoordinator: async ({ id }) => {
      await tier.promote(id);
      return {};
    },

    transferLeadership: async ({ to }) => {
      await tier.transferLeadership(to);
      const { leaderId, term } = log.leadership();
      return { leaderId: leaderId ?? "", term: BigInt(term) };
    },
  };
}
