import { networkInterfaces } from "node:os";
import type { Address } from "../../common/model/address.js";

/** Host of an address; "" for a unix socket, which is always here. */
export function hostOf(address: Address): string {
  return address.kind === "unix" ? "" : address.host;
}

let lastKnown: ReadonlySet<string> = new Set();

/**
 * Addresses of this host's interfaces. To ask takes a file descriptor: a process that has none left is told
 * what it knew before.
 * @param read Only tests choose another.
 */
export function readLocalHosts(read: typeof networkInterfaces = networkInterfaces): ReadonlySet<string> {
  try {
    lastKnown = new Set(Object.values(read()).flatMap((each) => (each ?? []).map(({ address }) => address)));
  } catch {
    // Too many open files, as a rule; checks report that themselves.
  }
  return lastKnown;
}

/** Whether a host is this one. Names other than localhost count as others: nobody is asked here. */
export function isLocalHost(host: string, local: ReadonlySet<string>): boolean {
  return host === "" || host === "localhost" || host === "::1" || host.startsWith("127.") || local.has(host);
}
