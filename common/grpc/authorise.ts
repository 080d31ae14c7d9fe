import { ClusterduckError } from "../errors.js";
import { describeIdentity } from "../tls/identity.js";
import type { PeerIdentity, PeerRole } from "../tls/identity.js";
import { issueCommand } from "../tls/words.js";

export type Authorisation = {
  /** The full name of the service that is called: `clusterduck.v1.AgentService`. */
  readonly service: string;
  /** Whose certificates may call it; null: those of all. */
  readonly callers: readonly PeerRole[] | null;
  /** It only asks how the server is: who holds the server's own certificate may, too. */
  readonly isForSelf: boolean;
  /** Null: the certificate is trusted, but says not who its holder is. */
  readonly caller: PeerIdentity | null;
  /** Of the server. */
  readonly own: PeerIdentity;
};

/** Whether a caller may go on; if not, what to tell it about its certificate. */
export function authorise({
  service,
  callers,
  isForSelf,
  caller,
  own,
}: Authorisation): ClusterduckError | null {
  const needed = callers?.[0] ?? "client";
  if (caller === null) {
    return denied(
      `it says not whose it is: it has no name like clusterduck://${own.cluster}/${needed}/NAME`,
      `Make another with ${issueCommand(needed)}`,
    );
  }
  if (caller.cluster !== own.cluster) {
    return denied(
      `it is for ${describeIdentity(caller)} of "${caller.cluster}", and this is "${own.cluster}"`,
      "Check the address: it leads to another tier",
    );
  }
  if (callers === null || callers.includes(caller.role)) return null;
  // Whoever has a coordinator's key is that coordinator, and no operator: `duck-coordinator status` asks with it.
  if (isForSelf && caller.role === own.role && caller.name === own.name) return null;
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
