import { connect as connectPlain } from "node:net";
import type { Socket } from "node:net";
import { checkServerIdentity, connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import type { TlsOption } from "../../common/config/checks/parts.js";
import type { Address } from "../../common/model/address.js";
import { sharedReads } from "../shared-reads.js";
import { loadTls } from "../tls-options.js";
import { sniOf } from "./target.js";
import type { Target } from "./target.js";

export type DialOptions = {
  /** Where the connection goes. */
  readonly address: Address;
  /** Whose name is asked for and verified. */
  readonly target: Target;
  readonly tls: TlsOption | undefined;
  /** Protocols offered by ALPN, the preferred first. */
  readonly alpn: readonly string[];
};

export type Dialled = {
  readonly socket: Socket;
  /** When the peer's certificate ends, Unix milliseconds; null without TLS. */
  readonly certificateEndMs: number | null;
};

/**
 * Connects to the node, with TLS when the target has it. Files are read for each connection, and no TLS
 * session is resumed: a renewed or exchanged certificate must be seen. `onBytes` gets what is received and keeps
 * nothing of it; without it the socket is read as a stream.
 * @throws the socket's error, the signal's reason, or ClusterduckError CONFIG_UNREADABLE.
 */
export async function dial(
  options: DialOptions,
  signal: AbortSignal,
  onBytes: ((bytes: Buffer) => void) | null = null,
): Promise<Dialled> {
  const { address, target } = options;
  const where = address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
  if (!target.isTls) {
    const socket = connectPlain(onBytes === null ? where : { ...where, onread: sharedReads(onBytes) });
    socket.setNoDelay(true);
    await established(socket, "connect", signal);
    return { socket, certificateEndMs: null };
  }
  const material = await loadTls(options.tls ?? true, address);
  signal.throwIfAborted();
  const servername = sniOf(target);
  const socket = connectTls({
    ...where,
    ...material,
    // Explicit, as the material's name is that of the address: empty means no SNI.
    servername: servername ?? "",
    checkServerIdentity: (_host, certificate) => checkServerIdentity(target.certificateName, certificate),
    ALPNProtocols: [...options.alpn],
  });
  socket.setNoDelay(true);
  if (onBytes !== null) socket.on("data", onBytes);
  await established(socket, "secureConnect", signal);
  return { socket, certificateEndMs: certificateEnd(socket) };
}

function certificateEnd(socket: TLSSocket): number | null {
  const text = socket.getPeerCertificate().valid_to as string | undefined;
  const endMs = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(endMs) ? null : endMs;
}

function established(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: unknown) => {
      signal.removeEventListener("abort", onAbort);
      socket.off(event, onReady).off("error", settle).off("close", onClose);
      if (error === null) return resolve();
      // A late error of a socket that nobody holds any more must not end the process.
      socket.on("error", () => undefined).destroy();
      reject(error instanceof Error ? error : new Error("aborted", { cause: error }));
    };
    const onReady = () => settle(null);
    const onAbort = () => settle(signal.reason);
    const onClose = () =>
      settle(Object.assign(new Error("closed while connecting"), { code: "ERR_SOCKET_CLOSED" }));
    signal.addEventListener("abort", onAbort);
    socket.on(event, onReady).on("error", settle).on("close", onClose);
  });
}
