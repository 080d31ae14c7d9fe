import { createServer } from "node:net";

/** A TCP port of 127.0.0.1 that nobody listens on now. Another process may take it before you do: retry then. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has no port");
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return address.port;
}

/** Below the range from which the system takes ports for outgoing connections (Linux: 32768 and up). */
const QUIET_FROM = 20_000;
const QUIET_TO = 32_000;

/**
 * Several TCP ports of 127.0.0.1 that nobody listens on, in rising order, and that no outgoing connection will
 * take before they are used: for programs that take their ports late, or again and again.
 */
export async function quietPorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = QUIET_FROM + Math.floor(Math.random() * (QUIET_TO - QUIET_FROM));
    if (!found.has(port) && (await canListen(port))) found.add(port);
  }
  return [...found].sort((left, right) => left - right);
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
