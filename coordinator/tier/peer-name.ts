import { ClusterduckError } from "../../common/errors.js";
import { describeIdentity } from "../../common/tls/identity.js";
import type { PeerIdentity } from "../../common/tls/identity.js";
import { issueCommand } from "../../common/tls/words.js";

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
