import { networkInterfaces } from "node:os";
import type { Address } from "../../common/model/address.js";

/** Host of an address; "" for a unix socket, which is always here. */
export function hostOf(address: Address): string {
  return address.kind === "unix" ? "" : address.host;
}

/** Addresses of this host's interfaces. */
export function readLocalHosts(): ReadonlySet<string> {
  return new Set(
    Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address)),
  );
}

/** Whether a host is this one. Names other than localhost count as others: nobody is asked here. */
export function isLocalHost(host: string, local: ReadonlySet<string>): boolean {
  return host === "" || host === "localhost" || host === "::1" || host.startsWith("127.") || local.has(host);
}
