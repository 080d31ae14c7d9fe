import { createServer, request } from "node:http";
import type { Server } from "node:http";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { once } from "node:events";
import type { ScheduleStats, SelfDoubt } from "../checks/schedule.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
import type { ProxyState } from "./applies.js";
import type { StreamStatus } from "./stream.js";

/** What `duck-agent status` shows. */
export type AgentStatus = {
  readonly id: string;
  readonly bootId: string;
  readonly version: string;
  readonly clusterId: string;
  readonly uptimeMs: number;
  readonly streams: readonly StreamStatus[];
  readonly nodes: number;
  readonly checks: ScheduleStats;
  readonly selfDoubt: SelfDoubt;
  readonly proxies: readonly ProxyState[];
};

const SOCKET = "agent.sock";
const ANSWER_TIMEOUT_MS = 5_000;
/** What the kernel takes for the path of a unix socket, with its closing zero. */
const SOCKET_PATH_MAX_BYTES = 107;

/**
 * Answers `GET /status` on a unix socket in the state directory, which only this user may enter.
 * @throws ClusterduckError LISTEN_FAILED
 */
export async function serveStatus(
  stateDir: string,
  status: () => AgentStatus,
): Promise<{ close(): Promise<void> }> {
  const path = join(stateDir, SOCKET);
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX_BYTES) {
    throw new ClusterduckError(
      "LISTEN_FAILED",
      `Cannot listen on "${path}": the path is longer than ${SOCKET_PATH_MAX_BYTES} bytes`,
      {
        hint: "Choose a state directory with a shorter path (agent: state_dir: …)",
      },
    );
  }
  // Left by a process that was killed; that no other one lives is the pid file's matter.
  await rm(path, { force: true });
  const server = createServer((incoming, response) => {
    const isKnown = incoming.method === "GET" && incoming.url === "/status";
    response.writeHead(isKnown ? 200 : 404, { "content-type": "application/json" });
    response.end(isKnown ? JSON.stringify(status()) : "{}");
  });
  try {
    server.listen(path);
    await once(server, "listening");
  } catch (cause) {
    throw new ClusterduckError("LISTEN_FAILED", `Cannot listen on "${path}": ${messageOf(cause)}`, { cause });
  }
  return { close: () => closeServer(server) };
}

/**
 * Asks the agent that runs with this state directory.
 * @throws ClusterduckError NOT_RUNNING when nobody answers there.
 */
export async function readStatus(stateDir: string): Promise<AgentStatus> {
  const socketPath = join(stateDir, SOCKET);
  try {
    const outgoing = request({ socketPath, path: "/status", signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    outgoing.end();
    const [response] = (await once(outgoing, "response")) as [AsyncIterable<Buffer>];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString()) as AgentStatus;
  } catch (cause) {
    throw new ClusterduckError("NOT_RUNNING", `No agent answers at "${socketPath}": ${messageOf(cause)}`, {
      cause,
      hint: "Start it with: duck-agent -c FILE -d",
    });
  }
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
