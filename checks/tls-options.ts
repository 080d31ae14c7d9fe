import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import type { TlsOption } from "../common/config/checks/parts.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
import type { Address } from "../common/model/address.js";

const DAY_MS = 24 * 60 * 60 * 1000;

/** The part of Node's TLS options that a check sets; undici's `tls` takes the same. */
export type TlsMaterial = Pick<
  ConnectionOptions,
  "ca" | "cert" | "key" | "servername" | "rejectUnauthorized"
>;

/**
 * TLS options for one connection; undefined when the check uses no TLS. Files are read at every call,
 * so that renewed ones count from the next connection on.
 * @throws ClusterduckError CONFIG_UNREADABLE that names the file.
 */
export async function loadTls(
  option: TlsOption | undefined,
  address: Address,
): Promise<TlsMaterial | undefined> {
  if (option === undefined || option === false) return undefined;
  const settings = option === true ? {} : option;
  const [ca, cert, key] = await Promise.all([
    readSecret(settings.ca_file, "tls.ca_file"),
    readSecret(settings.cert_file, "tls.cert_file"),
    readSecret(settings.key_file, "tls.key_file"),
  ]);
  const servername = settings.server_name ?? nameOf(address);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
    rejectUnauthorized: settings.skip_verify !== true,
  };
}

/**
 * A file of the host that an option names, as text.
 * @throws ClusterduckError CONFIG_UNREADABLE that names option and file.
 */
export async function readSecret(path: string, option: string): Promise<string>;
export async function readSecret(path: string | undefined, option: string): Promise<string | undefined>;
export async function readSecret(path: string | undefined, option: string): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new ClusterduckError("CONFIG_UNREADABLE", `Cannot read ${option} "${path}": ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** A warning when the peer's certificate ends within `days`; undefined when it does not, or without TLS. */
export function certificateWarning(socket: TLSSocket, days: number, wallMs: number): string | undefined {
  const validTo = socket.getPeerCertificate().valid_to as string | undefined;
  if (validTo === undefined || days === 0) return undefined;
  const leftMs = Date.parse(validTo) - wallMs;
  if (Number.isNaN(leftMs) || leftMs > days * DAY_MS) return undefined;
  const end = new Date(validTo).toISOString();
  return leftMs <= 0
    ? `certificate ended at ${end}`
    : `certificate ends in ${Math.floor(leftMs / DAY_MS)} days, at ${end}`;
}

/** SNI must not be an IP address (RFC 6066); Node then verifies the address against the certificate itself. */
function nameOf(address: Address): string | undefined {
  return address.kind === "tcp" && isIP(address.host) === 0 ? address.host : undefined;
}
