import { ClusterduckError } from "../../common/errors.js";
import { describeIdentity } from "../../common/tls/identity.js";
import type { PeerIdentity } from "../../common/tls/identity.js";
import { issueCommand } from "../../common/tls/words.js";
import type { ReplicatedLog } from "../log/replicated-log.js";

/**
 * A coordinator speaks for nobody else: its certificate says its name. Null: there is no TLS.
 * @throws ClusterduckError PERMISSION_DENIED
 */
export function assertSpeaksForItself(id: string, identity: PeerIdentity | null): void {
  if (identity === null || identity.name === id) return;
  throw new ClusterduckError(
    "PERMISSION_DENIED",
    `The certificate is for ${describeIdentity(identity)}, and the coordinator calls itself "${id}"`,
    { hint: `Make another with ${issueCommand("member", id)}, or set coordinator.id to ${identity.name}` },
  );
}

/**
 * A certificate outlives its holder's membership: only who is a member may pass calls on. Null: there is no TLS.
 * @throws ClusterduckError PERMISSION_DENIED
 */
export function assertIsMember(log: Pick<ReplicatedLog, "status">, identity: PeerIdentity | null): void {
  if (identity === null || log.status().peers.some(({ id }) => id === identity.name)) return;
  throw new ClusterduckError(
    "PERMISSION_DENIED",
    `${describeIdentity(identity)} is no member of this tier, and passes on no calls`,
    { hint: "duckctl coordinators list" },
  );
}
