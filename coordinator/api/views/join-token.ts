import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import type { JoinTokenSchema } from "../../../proto/gen/clusterduck/v1/control_pb.js";
import type { JoinTokenRecord } from "../../state/model.js";

export function joinTokenView(
  token: JoinTokenRecord,
  wallMs: number,
): MessageInitShape<typeof JoinTokenSchema> {
  const { id, coordinatorId, by, madeAtMs, expiresAtMs, end } = token;
  return {
    id,
    coordinatorId,
    state: end?.kind ?? (expiresAtMs <= wallMs ? "expired" : "open"),
    madeAt: timestampFromMs(madeAtMs),
    expiresAt: timestampFromMs(expiresAtMs),
    madeBy: by,
    ...(end === null ? {} : { endedAt: timestampFromMs(end.atMs) }),
  };
}
