import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type WebServer = {
  readonly port: number;
  /** `127.0.0.1:port` */
  readonly addr: string;
  /** Requests answered so far. */
  requests(): number;
  /** Closes at once, connections too. Idempotent. */
  stop(): Promise<void>;
};

/** A web server on loopback that answers every request with its own port. */
export async function startWebServer(): Promise<WebServer> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    response.end(`${port}`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    addr: `127.0.0.1:${port}`,
    requests: () => requests,
    stop: async () => {
      if (!server.listening) return;
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
