import { fastify } from "fastify";
import type { FastifyInstance } from "fastify";

import type { ListenConfig } from "../../common/config/model.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { ControlContext } from "../api/context.js";
import type { Metrics } from "./metrics.js";
import { readinessOf } from "./readiness.js";

export type HttpServer = { readonly address: string; readonly close: () => Promise<void> };

/**
 * The HTTP side of a coordinator: `/livez`, `/readyz[?verbose]`, `/metrics`.
 * @throws ClusterduckError LISTEN_FAILED when the address cannot be had.
 */
export async function startHttpServer(
  listen: ListenConfig,
  context: ControlContext,
  metrics: Metrics,
): Promise<HttpServer> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  addRoutes(server, context, metrics);
  try {
    const url = await server.listen({ host: listen.host, port: listen.port });
    return { address: new URL(url).host, close: () => server.close() };
  } catch (thrown) {
    const isTaken = (thrown as NodeJS.ErrnoException).code === "EADDRINUSE";
    throw new ClusterduckError(
      "LISTEN_FAILED",
      `Cannot listen on ${listen.host}:${listen.port} (HTTP): ${isTaken ? "the address is in use" : messageOf(thrown)}`,
      { cause: thrown, hint: "set another port with `coordinator: {http: HOST:PORT}`" },
    );
  }
}

function addRoutes(server: FastifyInstance, context: ControlContext, metrics: Metrics): void {
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

  server.get("/metrics", async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}
