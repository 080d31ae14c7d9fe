import { X509Certificate } from "node:crypto";
import { createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";
import type { Server } from "@grpc/grpc-js";
import type { ListenConfig } from "../config/model.js";
import { ClusterduckError, messageOf } from "../errors.js";
import type { Logger } from "../logger.js";
import { describeCertificate, readCertificate } from "../tls/certificate.js";
import { contextOptions, nameOf } from "../tls/material.js";
import type { TlsSource } from "../tls/source.js";
import { complaintOfPeer } from "../tls/words.js";
import { RefusalLog } from "./refusals.js";

export type TlsListener = {
  readonly port: number;
  /** Why nothing may be done over this connection, which then ends; null: its certificate is good. Peers are named as grpc-js does. */
  refusalOf(peer: string): ClusterduckError | null;
  /** Takes no new connections; those that there are stay. */
  close(): void;
  /** Breaks off those that there are. */
  cut(): void;
};

export type TlsListenOptions = {
  readonly listen: ListenConfig;
  readonly tls: TlsSource;
  readonly logger: Logger;
};

/** A peer that takes longer to shake hands, milliseconds, is gone or means no good. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Strangers that may hear why they are refused at one time; any more are cut off without a word. */
const REFUSED_MAX = 16;
/** How long a stranger may take to ask and to hear it, milliseconds. */
const REFUSED_MS = 5_000;
/** How long after it was told, milliseconds: a new connection may have a better certificate. */
const TOLD_MS = 500;

/**
 * Takes TLS connections for a gRPC server. The listener is ours rather than grpc-js's, which swallows what goes
 * wrong in a handshake. A connection with a bad certificate is let in just so far that every call on it is
 * answered with what is wrong: TLS itself would only break it off.
 * @throws the listening socket's error
 */
export async function listenTls(server: Server, options: TlsListenOptions): Promise<TlsListener> {
  const { listen, tls, logger } = options;
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const refusals = new Map<string, { readonly error: ClusterduckError; readonly endSoon: () => void }>();
  const refusalLog = new RefusalLog(logger);
  const acceptor = createServer({
    ...contextOptions(tls.material),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    ALPNProtocols: ["h2"],
  });

  const tell = (
    socket: { readonly remoteAddress?: string | undefined },
    fields: Readonly<Record<string, unknown>>,
  ): void => {
    const from = socket.remoteAddress ?? "unknown";
    refusalLog.tell(from, "tls.refused", { from, ...fields, ca: nameOf(tls.config, "ca") });
  };

  const sockets = new Set<TLSSocket>();
  acceptor.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket)).on("error", () => undefined);
    const refusal = refusalFor(socket, tls.wallMs());
    if (refusal !== null) {
      tell(socket, { certificate: refusal.certificate, error: refusal.error });
      if (refusals.size >= REFUSED_MAX) {
        socket.destroy();
        return;
      }
      const peer = `${socket.remoteAddress ?? ""}:${socket.remotePort ?? ""}`;
      let timer = setTimeout(() => socket.destroy(), REFUSED_MS);
      let isTold = false;
      const endSoon = (): void => {
        if (isTold) return;
        isTold = true;
        clearTimeout(timer);
        timer = setTimeout(() => socket.destroy(), TOLD_MS);
      };
      refusals.set(peer, { error: refusal.error, endSoon });
      socket.once("close", () => {
        clearTimeout(timer);
        refusals.delete(peer);
      });
    }
    injector.injectConnection(socket);
  });
  acceptor.on("tlsClientError", (error, socket) => tell(socket, { reason: wordsFor(error) }));
  const unsubscribe = tls.onChange((material) => acceptor.setSecureContext(contextOptions(material)));

  try {
    await new Promise<void>((resolve, reject) => {
      acceptor.once("error", reject);
      acceptor.listen({ host: listen.host, port: listen.port }, () => {
        acceptor.off("error", reject);
        resolve();
      });
    });
  } catch (thrown) {
    unsubscribe();
    throw thrown;
  }
  acceptor.on("error", (error) => logger.error("tls.listener_failed", { error }));
  const bound = acceptor.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : listen.port,
    refusalOf: (peer) => {
      const refusal = refusals.get(peer);
      refusal?.endSoon();
      return refusal?.error ?? null;
    },
    close: () => {
      unsubscribe();
      acceptor.close();
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function refusalFor(
  socket: TLSSocket,
  wallMs: number,
): { readonly certificate: string; readonly error: ClusterduckError } | null {
  if (socket.authorized) return null;
  const raw = peerCertificateBytes(socket);
  const certificate = raw === undefined ? null : readCertificate(new X509Certificate(raw));
  const { message, hint } = complaintOfPeer(String(socket.authorizationError), certificate, {
    wallMs,
    expected: "client",
  });
  return {
    certificate: certificate === null ? "none" : describeCertificate(certificate),
    error: new ClusterduckError("UNAUTHENTICATED", message, { hint }),
  };
}

/** Node gives an empty object where there is no certificate. */
function peerCertificateBytes(socket: TLSSocket): Buffer | undefined {
  return (socket.getPeerCertificate() as { readonly raw?: Buffer }).raw;
}

function wordsFor(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (
    code === "ERR_SSL_HTTP_REQUEST" ||
    code === "ERR_SSL_WRONG_VERSION_NUMBER" ||
    code === "ERR_SSL_PACKET_LENGTH_TOO_LONG"
  )
    return "it speaks no TLS: its configuration names no certificates";
  if (code === "ECONNRESET") return "it went away during the handshake: it may not trust our certificate";
  return messageOf(error);
}
