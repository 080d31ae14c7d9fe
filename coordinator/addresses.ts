import { isIP } from "node:net";
import type { ListenConfig } from "../common/config/model.js";

const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** Where others reach a coordinator. `hostAddresses`: those of this host beyond loopback, the best first. */
export function advertisedAddress(options: {
  readonly listen: ListenConfig;
  /** The one that port 0 became. */
  readonly port: number;
  /** What the configuration says; null: nothing. */
  readonly advertise: string | null;
  readonly hostAddresses: readonly string[];
}): string {
  const { listen, port, advertise, hostAddresses } = options;
  if (advertise !== null) return advertise;
  if (!WILDCARDS.has(listen.host)) return hostPort(listen.host, port);
  // `::` takes both families, so the more usual one is told.
  const found = hostAddresses.find((address) => isIP(address) === 4) ?? hostAddresses[0];
  return found === undefined || (listen.host === "0.0.0.0" && isIP(found) !== 4)
    ? ownAddress(listen, port)
    : hostPort(found, port);
}

/** Where a program on the same host reaches it. */
export function ownAddress({ host }: ListenConfig, port: number): string {
  return hostPort(host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port);
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
