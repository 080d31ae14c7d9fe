/** What the holder of a certificate may do: vote in the tier, report as an agent, or ask and tell as an operator. */
export const PEER_ROLES = ["member", "agent", "client"] as const;
export type PeerRole = (typeof PEER_ROLES)[number];

/** Who a certificate says that its holder is. */
export type PeerIdentity = {
  readonly role: PeerRole;
  /** A coordinator's or an agent's id; a person's or a tool's name for clients. */
  readonly name: string;
  /** The tier, as it was named when its certificate authority was made. */
  readonly cluster: string;
};

const SCHEME = "clusterduck://";
/** As wide as the ids of coordinators and agents. */
const PEER_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}$/;
const TIER_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

export function isPeerName(name: string): boolean {
  return PEER_NAME.test(name);
}

/** Whether a tier can have this name: it becomes the host part of a URI. */
export function isTierName(name: string): boolean {
  return TIER_NAME.test(name);
}

export function isPeerRole(word: string): word is PeerRole {
  return PEER_ROLES.some((role) => role === word);
}

/** The form in which an identity stands among a certificate's names: `clusterduck://prod/member/c1`. */
export function identityUri({ role, name, cluster }: PeerIdentity): string {
  return `${SCHEME}${cluster}/${role}/${encodeURIComponent(name)}`;
}

/** Null for anything that `identityUri` does not make: an identity is read exactly or not at all. */
export function parseIdentityUri(uri: string): PeerIdentity | null {
  if (!uri.startsWith(SCHEME)) return null;
  const [cluster = "", role = "", encoded = "", ...rest] = uri.slice(SCHEME.length).split("/");
  if (rest.length > 0 || !isTierName(cluster) || !isPeerRole(role)) return null;
  const name = decode(encoded);
  if (name === null || !isPeerName(name)) return null;
  const identity = { role, name, cluster };
  return identityUri(identity) === uri ? identity : null;
}

/** Of all URIs of a certificate. Two identities are none: nobody may choose who to be. */
export function identityOfUris(uris: readonly string[]): PeerIdentity | null {
  const ours = uris.filter((uri) => uri.startsWith(SCHEME));
  const [only] = ours;
  return only === undefined || ours.length > 1 ? null : parseIdentityUri(only);
}

/** `agent "a1"` */
export function describeIdentity({ role, name }: Pick<PeerIdentity, "role" | "name">): string {
  return `${role} "${name}"`;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
