import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";

import { freePort } from "../../test/support/free-port.js";
import { startRedis } from "../../test/support/redis-server.js";
import { startProgram } from "./program.js";
import type { Program } from "./program.js";

/** kill: `kill -9`. stop: SIGSTOP, so ports stay open and nobody answers. refuse: it lives, but listens no more. */
export type Fault = "kill" | "stop" | "refuse";
export const FAULTS = ["kill", "stop", "refuse"] as const;

/** A real service that can be broken and mended. Times are this process's `performance.now()`. */
export type FaultyService = {
  readonly port: number;
  /** When the fault was put in, taken just before. */
  readonly breakIt: (fault: Fault) => Promise<number>;
  /** When it served again. */
  readonly mend: (fault: Fault) => Promise<number>;
  readonly stop: () => Promise<void>;
};

export async function startWebService(): Promise<FaultyService> {
  const port = await freePort();
  const script = fileURLToPath(new URL("./web-service.mjs", import.meta.url));
  let program: Program;
  const start = async (): Promise<void> => {
    program = await startProgram({
      command: process.execPath,
      args: [script, String(port)],
      readyWhen: null,
      hasIpc: true,
    });
    await once(program.child, "message");
  };
  const tell = async (word: string): Promise<void> => {
    const done = once(program.child, "message");
    program.child.send(word);
    await done;
  };
  await start();
  return {
    port,
    breakIt: async (fault) => {
      const atMs = performance.now();
      if (fault === "refuse") await tell("refuse");
      else if (fault === "stop") program.child.kill("SIGSTOP");
      else await program.stop();
      return atMs;
    },
    mend: async (fault) => {
      if (fault === "refuse") await tell("listen");
      else if (fault === "stop") program.child.kill("SIGCONT");
      else await start();
      return performance.now();
    },
    stop: () => program.stop(),
  };
}

/** A Redis that holds its own port under the key `whoami`. */
export async function startRedisService(): Promise<FaultyService> {
  let server = await startRedis();
  const { port } = server;
  const nameIt = (): Promise<void> => tellRedis(server.socketPath, [["SET", "whoami", String(port)]]);
  await nameIt();
  return {
    port,
    breakIt: async (fault) => {
      const atMs = performance.now();
      if (fault === "kill") await server.kill("SIGKILL");
      else if (fault === "stop") await server.kill("SIGSTOP");
      else {
        await tellRedis(server.socketPath, [
          ["CONFIG", "SET", "port", "0"],
          ["CLIENT", "KILL", "TYPE", "normal"],
        ]);
      }
      return atMs;
    },
    mend: async (fault) => {
      if (fault === "kill") {
        await server.stop();
        server = await startRedis({ port });
        await nameIt();
      } else if (fault === "stop") await server.kill("SIGCONT");
      else await tellRedis(server.socketPath, [["CONFIG", "SET", "port", String(port)]]);
      return performance.now();
    },
    stop: () => server.stop(),
  };
}

/** Sends commands over the unix socket, each of which must succeed. */
async function tellRedis(path: string, commands: readonly (readonly string[])[]): Promise<void> {
  const socket = connect({ path });
  try {
    for (const words of commands) {
      const bytes = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
      socket.write(`*${words.length}\r\n${bytes}`);
      const [reply] = (await once(socket, "data")) as [Buffer];
      if (reply.toString().startsWith("-"))
        throw new Error(`Redis refused ${words.join(" ")}: ${reply.toString()}`);
    }
  } finally {
    socket.destroy();
  }
}
