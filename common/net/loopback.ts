import { isIP } from "node:net";

/** Whether a host's name or address can only mean this machine (and this network namespace). */
export function isLoopbackHost(host: string): boolean {
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  if (isIP(host) === 4) return host.startsWith("127.");
  if (isIP(host) === 6)
    return new URL(`http://[${host.split("%")[0]}]`).hostname === "[::1]" || isMapped(host);
  return false;
}

/** An IPv4 loopback address in IPv6 clothes: ::ffff:127.0.0.1. */
function isMapped(host: string): boolean {
  return /^\[::ffff:7f[0-9a-f]{2}:/.test(new URL(`http://[${host.split("%")[0]}]`).hostname);
}
