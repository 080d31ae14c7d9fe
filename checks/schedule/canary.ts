import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A byte without echo for this long is lost, and the connection with it. Milliseconds. */
const LOST_MS = 2_000;

export type Canary = {
  /** Sends the next byte and tells how long the last one took; Infinity: lost; null: nothing known yet. */
  sample(nowMs: number): number | null;
  close(): void;
};

/**
 * An echo server of our own on loopback and one connection to it: when even this does not answer in time,
 * what we think of others is worth little. Answers nobody but itself and keeps no process alive.
 */
export function openCanary(now: () => number): Canary {
  let client: Socket | null = null;
  let sentMs: number | null = null;
  let roundTripMs: number | null = null;
  const server: Server = createServer((peer) => {
    peer.unref().setNoDelay(true);
    peer.on("error", () => peer.destroy());
    peer.on("data", (bytes) => (peer.remotePort === client?.localPort ? peer.write(bytes) : peer.destroy()));
  });
  // Without a loopback to listen on there is no canary, which says nothing about our sight.
  server.on("error", () => server.close());
  server.listen({ host: "127.0.0.1", port: 0 }).unref();

  function dial(nowMs: number): void {
    const address = server.address() as AddressInfo | null;
    if (address === null) return;
    const socket = connect({ host: "127.0.0.1", port: address.port, noDelay: true }).unref();
    client = socket;
    send(nowMs);
    socket.on("data", () => {
      if (sentMs !== null) roundTripMs = now() - sentMs;
      sentMs = null;
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      if (client === socket) client = null;
    });
  }

  function send(nowMs: number): void {
    sentMs = nowMs;
    client?.write(".");
  }

  return {
    sample(nowMs) {
      if (sentMs !== null && nowMs - sentMs > LOST_MS) {
        client?.destroy();
        client = null;
        roundTripMs = Infinity;
      }
      const waitedMs = client !== null && sentMs !== null ? nowMs - sentMs : 0;
      if (client === null) dial(nowMs);
      else if (sentMs === null) send(nowMs);
      return roundTripMs === null ? null : Math.max(roundTripMs, waitedMs);
    },
    close() {
      client?.destroy();
      server.close();
    },
  };
}
