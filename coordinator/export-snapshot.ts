import type { Clock } from "../common/clock.js";
import { ClusterduckError } from "../common/errors.js";
import type { ReplicatedLog } from "./log/replicated-log.js";
import { encodeSnapshot } from "./log/storage/snapshot-file.js";
import type { OpenReplica } from "./replica-over-log.js";
import { withoutJoinSecret } from "./state/snapshot.js";

/** Everything that is committed now, but for what lets coordinators join, as the bytes of a snapshot file. */
export async function exportSnapshot(
  replica: OpenReplica,
  log: Pick<ReplicatedLog, "loadSnapshot" | "members">,
  options: { readonly memberId: string; readonly clock: Clock },
): Promise<Uint8Array> {
  await replica.saveSnapshot();
  const snapshot = await log.loadSnapshot();
  if (snapshot === null)
    throw new ClusterduckError("NOT_FOUND", "There is nothing to save yet: the log is empty");
  return encodeSnapshot(
    {
      clusterId: replica.state.clusterId,
      memberId: options.memberId,
      last: snapshot.last,
      members: log.members(),
      createdAtMs: options.clock.wallMs(),
    },
    withoutJoinSecret(snapshot.data),
  );
}
