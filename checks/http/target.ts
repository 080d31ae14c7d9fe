import { isIP } from "node:net";
import type { TlsOption } from "../../common/config/checks/parts.js";
import { formatAddress } from "../../common/model/address.js";
import type { Address } from "../../common/model/address.js";

/** Whom to ask for what. Where to connect is the node's address, whatever stands here. */
export type Target = {
  readonly isTls: boolean;
  /** Path and query as sent. */
  readonly path: string;
  /** The Host header (`:authority` in HTTP/2). */
  readonly host: string;
  /** The name or IP address that the certificate must be for, and, when it is a name, the SNI. */
  readonly certificateName: string;
};

const SECURE = new Set(["https:", "wss:"]);

/**
 * Reads `url`: a path (host and certificate are then those of the node's address; TLS when the option
 * `tls` is given) or a whole URL. The schema has checked it.
 */
export function targetOf(url: string, tls: TlsOption | undefined, address: Address): Target {
  const serverName = typeof tls === "object" ? tls.server_name : undefined;
  if (!url.startsWith("/")) {
    const parsed = new URL(url);
    return {
      isTls: SECURE.has(parsed.protocol),
      path: parsed.pathname + parsed.search,
      host: parsed.host,
      certificateName: serverName ?? bareHost(parsed.hostname),
    };
  }
  const parsed = new URL(url, "http://node");
  const isTls = tls !== undefined && tls !== false;
  return {
    isTls,
    path: parsed.pathname + parsed.search,
    host: hostOf(address, isTls),
    certificateName: serverName ?? (address.kind === "tcp" ? withoutZone(address.host) : "localhost"),
  };
}

/**
 * Where a redirect leads, or null when it leaves the node: another host or scheme is another service,
 * and its health says nothing about this one.
 */
export function redirectedTarget(target: Target, location: string): Target | null {
  const scheme = target.isTls ? "https" : "http";
  const base = `${scheme}://${target.host}${target.path}`;
  if (!URL.canParse(location, base)) return null;
  const parsed = new URL(location, base);
  if (parsed.protocol !== `${scheme}:` || parsed.host !== new URL(base).host) return null;
  return { ...target, path: parsed.pathname + parsed.search };
}

/** The default port is left out, as clients do; some servers compare the header by letters. */
function hostOf(address: Address, isTls: boolean): string {
  if (address.kind === "unix") return "localhost";
  const plain = { ...address, host: withoutZone(address.host) };
  const text = formatAddress(plain);
  return address.port === (isTls ? 443 : 80) ? text.slice(0, text.lastIndexOf(":")) : text;
}

/** The zone of a link-local address (`%eth0`) means something on this host only. */
function withoutZone(host: string): string {
  return host.replace(/%.*$/, "");
}

function bareHost(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

/** The SNI of a target: never an IP address (RFC 6066, section 3). */
export function sniOf(target: Target): string | undefined {
  return isIP(target.certificateName) === 0 ? target.certificateName : undefined;
}
