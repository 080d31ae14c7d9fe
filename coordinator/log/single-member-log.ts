import { systemRandom } from "../../common/random.js";
import { openRaftLog } from "./open-raft-log.js";
import type { RaftLogOptions } from "./open-raft-log.js";
import type { RaftLog } from "./raft-log.js";

export type SingleMemberLogOptions = Pick<
  RaftLogOptions,
  "dir" | "memberId" | "clock" | "logger" | "disk" | "segmentBytes" | "reserveBytes"
>;

/**
 * The log of a tier of one that nobody else can reach. It leads when this resolves, in a new term, so that
 * its fencing tokens grow with every start; it acknowledges what its own disk has synced.
 * @throws ClusterduckError as `openRaftLog`.
 */
export function openSingleMemberLog(options: SingleMemberLogOptions): Promise<RaftLog> {
  const { memberId } = options;
  return openRaftLog({
    ...options,
    clusterId: "",
    address: "",
    founding: [{ id: memberId, role: "voter", address: "" }],
    random: systemRandom,
  });
}
