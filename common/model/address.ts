import ipaddr from "ipaddr.js";
import { ClusterduckError } from "../errors.js";

/** Where a service listens. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

const HOST = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/;
const IPV6_ZONE = /^[A-Za-z0-9_.-]+$/;
/** No spaces, quotes or control characters: addresses end up in proxies' configuration files. */
const UNIX_PATH = /^\/[A-Za-z0-9_.\-/]{1,106}$/;

/**
 * Reads `host:port`, `[v6]:port`, `tcp://host:port`, `unix:/path` or `/path`.
 * @throws ClusterduckError INVALID_ARGUMENT that names the value and what would work.
 */
export function parseAddress(text: string): Address {
  const path = text.startsWith("unix://") ? text.slice(7) : text.startsWith("unix:") ? text.slice(5) : text;
  if (path.startsWith("/")) {
    if (UNIX_PATH.test(path)) return { kind: "unix", path };
    throw invalid(text);
  }
  const rest = text.startsWith("tcp://") ? text.slice(6) : text;
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(rest);
  if (match === null) throw invalid(text);
  const [, v6, name, digits] = match;
  const port = Number(digits);
  const host = v6 === undefined ? hostName(name ?? "") : shortestIpv6(v6);
  if (host === null || port < 1 || port > 65_535) throw invalid(text);
  return { kind: "tcp", host, port };
}

/** Names mean the same in either case. */
function hostName(name: string): string | null {
  return HOST.test(name) ? name.toLowerCase() : null;
}

/** One spelling of each IPv6 address. Source: RFC 5952. */
function shortestIpv6(text: string): string | null {
  const [digits = "", zone, ...rest] = text.split("%");
  if (rest.length > 0 || (zone !== undefined && !IPV6_ZONE.test(zone)) || !ipaddr.IPv6.isValid(digits))
    return null;
  const shortest = ipaddr.IPv6.parse(digits).toRFC5952String();
  return zone === undefined ? shortest : `${shortest}%${zone}`;
}

/** The canonical text of an address: what nodes are keyed by. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** `parseAddress` and `formatAddress` in one: two spellings of an address give one text. Host names become lower case. */
export function canonicalAddress(text: string): string {
  return formatAddress(parseAddress(text));
}

function invalid(text: string): ClusterduckError {
  return new ClusterduckError(
    "INVALID_ARGUMENT",
    `Invalid address ${JSON.stringify(text)}: expected host:port, [v6]:port or unix:/path, with a port from 1 to 65535`,
  );
}
