import { ClusterduckError } from "../errors.js";
import { describeIdentity } from "../tls/identity.js";
import type { PeerIdentity, PeerRole } from "../tls/identity.js";
import { issueCommand } from "../tls/words.js";

export type Authorisation = {
  /** The full name of the service that is called: `clusterduck.v1.AgentService`. */
  readonly service: string;
  /** Whose certificates may call it; null: those of all. */
  readonly callers: readonly PeerRole[] | null;
  /** Null: the certificate is trusted, but says not who its holder is. */
  readonly caller: PeerIdentity | null;
  /** Our own tier. */
  readonly cluster: string;
};

/** Whether a caller may go on; if not, what to tell it about its certificate. */
export function authorise({ service, callers, caller, cluster }: Authorisation): ClusterduckError | null {
  const needed = callers?.[0] ?? "client";
  if (caller === null) {
    return denied(
      `it says not whose it is: it has no name like clusterduck://${cluster}/${needed}/NAME`,
      `Make another with ${issueCommand(needed)}`,
    );
  }
  if (caller.cluster !== cluster) {
    return denied(
      `it is for ${describeIdentity(caller)} of "${caller.cluster}", and this is "${cluster}"`,
      "Check the address: it leads to another tier",
    );
  }
  if (callers === null || callers.includes(caller.role)) return null;
  const short = service.split(".").at(-1) ?? service;
  return denied(
    `it is for ${describeIdentity(caller)}, and ${short} wants ${callers.length === 0 ? "none at all" : `one for ${withArticle(callers)}`}`,
    callers.length === 0
      ? "Check that both programs have the same version"
      : `Make one with ${issueCommand(needed)}`,
  );
}

function withArticle(roles: readonly PeerRole[]): string {
  return roles.map((role) => (role === "agent" ? "an agent" : `a ${role}`)).join(" or ");
}

function denied(message: string, hint: string): ClusterduckError {
  return new ClusterduckError("PERMISSION_DENIED", message, { hint });
}
