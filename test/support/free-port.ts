import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below the range from which the system takes ports for outgoing connections (Linux: 32768 and up). */
const LOWEST = 20_000;
const HIGHEST = 31_999;

/** A TCP port of 127.0.0.1 for this process alone: see `freePorts`. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/**
 * Several TCP ports of 127.0.0.1 that nobody listens on, in rising order. No outgoing connection takes them, and
 * until this process ends no other caller of this function gets them, whichever test it belongs to: programs may
 * take them late, or again and again.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if ((await reserve(port)) && (await canListen(port))) found.push(port);
  }
  return found.sort((left, right) => left - right);
}

/**
 * The UDP port of the same number stands for the TCP port: the system gives it to one process only, and takes it
 * back whichever way that process ends.
 */
async function reserve(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  socket.bind({ port, address: "127.0.0.1", exclusive: true });
  try {
    await once(socket, "listening");
  } catch {
    socket.close();
    return false;
  }
  socket.unref();
  return true;
}

export async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (!(await isListening)) return false;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return true;
}
