import { createServer } from "node:net";

/*
 * `haproxy -c` passes with a port that somebody else uses, and the reload then fails: for two seconds
 * HAProxy 2.6 tries to bind while the master answers nobody. So a port that is new in the file is tried
 * first.
 */

export type Endpoint = { readonly host: string; readonly port: number };

/** TCP endpoints of the `bind` lines of a file. What is not plain (variables, sockets, ranges) is not probed. */
export function endpointsOf(text: string): readonly Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*bind\s+(\S+)(.*)$/.exec(line);
    if (match === null || /\b(transparent|interface|namespace)\b/.test(match[2] ?? "")) continue;
    for (const address of (match[1] ?? "").split(",")) {
      const endpoint = endpointOf(address);
      if (endpoint !== null) endpoints.push(endpoint);
    }
  }
  return endpoints;
}

function endpointOf(address: string): Endpoint | null {
  const match = /^(?:ipv[46]@)?(\[[0-9A-Fa-f:.]+\]|[0-9.]+|\*|::|)?:(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535) return null;
  const host = (match[1] ?? "").replace(/^\[|\]$/g, "");
  return { host: host === "" || host === "*" ? "0.0.0.0" : host, port };
}

/** Tries to listen on each endpoint that `next` has and `current` has not; the first that fails, in words. */
export async function probeNewBinds(next: string, current: string | null): Promise<string | null> {
  const known = new Set((current === null ? [] : endpointsOf(current)).map(keyOf));
  for (const endpoint of endpointsOf(next)) {
    if (known.has(keyOf(endpoint))) continue;
    const problem = await tryListen(endpoint);
    if (problem !== null) return problem;
  }
  return null;
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.host} ${endpoint.port}`;
}

function tryListen({ host, port }: Endpoint): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const where = `${host}:${port}`;
      if (error.code === "EADDRINUSE") {
        resolve(`Cannot bind ${where}: another process listens there; choose another port or stop it`);
      } else if (error.code === "EADDRNOTAVAIL") {
        resolve(`Cannot bind ${where}: this host has no such address`);
      } else {
        // A port that only root may bind says nothing about HAProxy, which may be root.
        resolve(null);
      }
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}
