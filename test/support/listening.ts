import { once } from "node:events";
import type { Server, Socket } from "node:net";
import type { TestContext } from "node:test";

import type { Address } from "../../common/model/address.js";
import { atEnd } from "./at-end.js";

/** A server of a test's own making that listens on loopback, or on a unix socket, until the test ends. */
export type Listening = {
  readonly address: Address;
  /** Connections open now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Connections accepted so far. */
  readonly connections: () => number;
};

/** Makes a server listen on a port (0: any) or at a path, and cuts its connections when the test ends. */
export async function listening(
  t: Pick<TestContext, "after">,
  server: Server,
  where: number | string = 0,
): Promise<Listening> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on("connection", (socket: Socket) => {
    connections++;
    sockets.add(socket);
    // Checks cut connections short; that is what is being tested.
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  });
  if (typeof where === "string") server.listen(where);
  else server.listen(where, "127.0.0.1");
  await once(server, "listening");
  atEnd(t, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const bound = server.address();
  const address: Address =
    typeof bound === "string" || bound === null
      ? { kind: "unix", path: String(bound) }
      : { kind: "tcp", host: "127.0.0.1", port: bound.port };
  return { address, sockets, connections: () => connections };
}
