import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { delimiter, join } from "node:path";

import { ClusterduckError } from "../../common/errors.js";

/** One running service of the example. */
export type ExampleService = {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** What starts it again by hand. */
  readonly command: readonly [string, ...string[]];
};

const START_TIMEOUT_MS = 10_000;
const LOOK_AGAIN_MS = 20;

/** Where a program is; null where it is not installed. Debian keeps some in sbin, which is not on every PATH. */
export function findProgram(name: string, path: string | undefined): string | null {
  const folders = [...(path ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file)) ?? null;
}

/** The wanted port when it is free, else one that is. */
export async function freePortNear(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? wanted;
}

async function tryPort(port: number): Promise<number | null> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : null;
  } catch {
    return null;
  } finally {
    server.close();
  }
}

/**
 * Starts a service and resolves once it accepts connections.
 * @throws ClusterduckError COMMAND_FAILED with the end of what it said, when it ends or does not listen in time.
 */
export async function startService(
  name: string,
  port: number,
  command: readonly [string, ...string[]],
): Promise<ExampleService> {
  const [file, ...args] = command;
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-1_000);
    });
  }
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(`it ended with ${signal ?? `exit code ${code ?? "none"}`}`));
  });
  const why = await Promise.race([ended, untilListening(port)]);
  if (why === null) return { name, port, process: child, command };
  child.kill("SIGKILL");
  throw new ClusterduckError("COMMAND_FAILED", `Cannot start ${name} of the example: ${why}: ${said.trim()}`);
}

async function untilListening(port: number): Promise<string | null> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadlineMs) {
    if (await accepts(port)) return null;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  return `nothing listens on 127.0.0.1:${port} after ${START_TIMEOUT_MS / 1000} s`;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    const settle = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}
