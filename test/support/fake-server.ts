import { createServer, type Socket } from "node:net";

export type FakeServer = {
  readonly port: number;
  readonly addr: string;
  /** Connections accepted so far. */
  readonly accepted: () => number;
  /** Connections open now. */
  readonly sockets: ReadonlySet<Socket>;
  stop(): Promise<void>;
};

/** A server on loopback that does with each connection what the test says. */
export async function startFakeServer(onConnection: (socket: Socket) => void): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // Checks cut connections short; that is what is being tested.
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has no port");
  return {
    port: address.port,
    addr: `127.0.0.1:${address.port}`,
    accepted: () => accepted,
    sockets,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
