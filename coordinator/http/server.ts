import { X509Certificate } from "node:crypto";
import type { RequestListener, Server as HttpServerOfNode } from "node:http";
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { TLSSocket } from "node:tls";
import { fastify } from "fastify";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import type { ListenConfig } from "../../common/config/model.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { authorise } from "../../common/grpc/authorise.js";
import { isLoopbackHost } from "../../common/net/loopback.js";
import { readCertificate } from "../../common/tls/certificate.js";
import { assertMayListen } from "../../common/tls/demand.js";
import { contextOptions } from "../../common/tls/material.js";
import type { TlsSource } from "../../common/tls/source.js";
import { complaintOfPeer } from "../../common/tls/words.js";
import type { ControlContext } from "../api/context.js";
import type { Metrics } from "./metrics.js";
import { readinessOf } from "./readiness.js";

export type HttpServer = { readonly address: string; readonly close: () => Promise<void> };

/** A peer that takes longer to shake hands, milliseconds, is gone or means no good. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * The HTTP side of a coordinator: `/livez`, `/readyz[?verbose]`, `/metrics`. On loopback without TLS, so that
 * whatever watches this host needs no certificate; anywhere else with it, and metrics then want one of the tier.
 * @throws ClusterduckError LISTEN_FAILED when the address cannot be had, or is beyond loopback without TLS.
 */
export async function startHttpServer(
  listen: ListenConfig,
  context: ControlContext,
  metrics: Metrics,
  tls: TlsSource | null = null,
): Promise<HttpServer> {
  assertMayListen(listen, tls !== null);
  const secure = isLoopbackHost(listen.host) ? null : tls;
  let httpsServer: Server | null = null;
  const options = { logger: false, forceCloseConnections: true } as const;
  const server =
    secure === null
      ? fastify(options)
      : fastify({
          ...options,
          serverFactory: (handler: RequestListener): HttpServerOfNode => {
            httpsServer = createServer(httpsOptions(secure), handler);
            return httpsServer;
          },
        });
  addRoutes(server, context, metrics, secure);
  const unsubscribe = secure?.onChange((material) => httpsServer?.setSecureContext(contextOptions(material)));
  try {
    const url = await server.listen({ host: listen.host, port: listen.port });
    return {
      address: new URL(url).host,
      close: async () => {
        unsubscribe?.();
        await server.close();
      },
    };
  } catch (thrown) {
    unsubscribe?.();
    const isTaken = (thrown as NodeJS.ErrnoException).code === "EADDRINUSE";
    throw new ClusterduckError(
      "LISTEN_FAILED",
      `Cannot listen on ${listen.host}:${listen.port} (HTTP): ${isTaken ? "the address is in use" : messageOf(thrown)}`,
      { cause: thrown, hint: "set another port with `coordinator: {http: HOST:PORT}`" },
    );
  }
}

function httpsOptions(tls: TlsSource) {
  return {
    ...contextOptions(tls.material),
    requestCert: true,
    // Probes come without; metrics look at it themselves, and can say what is wrong.
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  };
}

function addRoutes(
  server: FastifyInstance,
  context: ControlContext,
  metrics: Metrics,
  tls: TlsSource | null,
): void {
  server.get("/livez", async (_request, reply) => reply.type("text/plain").send("ok\n"));

  server.get<{ Querystring: { verbose?: string } }>("/readyz", async (request, reply) => {
    const checks = readinessOf(context);
    const isReady = checks.every((check) => check.isOk);
    const lines = checks
      .map((check) => `[${check.isOk ? "+" : "-"}]${check.name}: ${check.detail}\n`)
      .join("");
    const isVerbose = request.query.verbose !== undefined || !isReady;
    return reply
      .code(isReady ? 200 : 503)
      .type("text/plain")
      .send(`${isVerbose ? lines : ""}${isReady ? "ok" : "not ready"}\n`);
  });

  server.get("/metrics", async (request, reply) => {
    if (tls !== null && !isOfTier(request, reply, tls)) return reply;
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
}

/** Whether a request comes with a certificate of our tier; if not, it has been answered. */
function isOfTier({ raw }: FastifyRequest, reply: FastifyReply, tls: TlsSource): boolean {
  const socket = raw.socket as TLSSocket;
  const bytes = (socket.getPeerCertificate() as { readonly raw?: Buffer }).raw;
  const certificate = bytes === undefined ? null : readCertificate(new X509Certificate(bytes));
  if (socket.authorized) {
    const denied = authorise({
      service: "metrics",
      callers: null,
      isForSelf: false,
      caller: certificate?.identity ?? null,
      own: tls.material.identity,
    });
    if (denied === null) return true;
    void reply.code(403).type("text/plain").send(`${denied.message}\n`);
    return false;
  }
  const { message, hint } = complaintOfPeer(String(socket.authorizationError), certificate, {
    wallMs: tls.wallMs(),
    expected: "client",
  });
  void reply.code(401).type("text/plain").send(`${message}\n${hint}\n`);
  return false;
}
