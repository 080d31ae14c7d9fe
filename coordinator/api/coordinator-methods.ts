import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import { ClusterduckError } from "../../common/errors.js";
import type { ServiceHandlers } from "../../common/grpc/service.js";
import type { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { ControlContext } from "./context.js";
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

const COORDINATOR_ID = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;
const TOKEN_MIN_MS = 1_000;
/** A token that lies around for longer is a key under the doormat. Milliseconds. */
const TOKEN_MAX_MS = 7 * 86_400_000;

export function coordinatorMethods(context: ControlContext): CoordinatorMethods {
  const { tier, log, replica, clock } = context;
  return {
    listCoordinators: async () => {
      const { leaderId, term } = log.leadership();
      return {
        coordinators: coordinatorViews(context),
        clusterId: replica.state.clusterId,
        leaderId: leaderId ?? "",
        term: BigInt(term),
        commitIndex: BigInt(log.status().commitIndex),
      };
    },

    createJoinToken: async ({ id, validMs }, { peer }) => {
      if (!COORDINATOR_ID.test(id)) {
        throw new ClusterduckError(
          "INVALID_ARGUMENT",
          `Invalid coordinator id ${JSON.stringify(id)}: expected 1 to 128 letters, digits or any of . _ : @ -`,
        );
      }
      if (!(validMs >= TOKEN_MIN_MS && validMs <= TOKEN_MAX_MS)) {
        throw new ClusterduckError(
          "INVALID_ARGUMENT",
          `Invalid validity ${validMs} ms: expected a second to seven days`,
        );
      }
      const made = await tier.createJoinToken(id, validMs, `api:${peer}`);
      const { token, addresses, expiresAtMs } = made;
      return {
        token,
        tokenId: made.id,
        addresses: [...addresses],
        expiresAt: timestampFromMs(expiresAtMs),
      };
    },

    listJoinTokens: async () => ({
      tokens: [...replica.state.joinTokens.values()]
        .sort((left, right) => right.madeAtMs - left.madeAtMs)
        .map((each) => joinTokenView(each, clock.wallMs())),
    }),

    revokeJoinToken: async ({ id }, { peer }) => ({ id: await tier.revokeJoinToken(id, `api:${peer}`) }),

    removeCoordinator: async ({ id }, { peer }) => {
      await tier.remove(id, `api:${peer}`);
      return { leaderId: log.leadership().leaderId ?? "" };
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
