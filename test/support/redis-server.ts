import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.js";

export type RedisServerOptions = {
  /** Default: a free one. A server that died can be started again on its port. */
  readonly port?: number;
  /** Directives as in redis.conf: `{ maxmemory: "1mb", save: "" }`; a list repeats the directive. */
  readonly config?: Readonly<Record<string, string | readonly string[]>>;
  /** Data directory to use and keep; default: a temporary one that `stop` removes. */
  readonly dir?: string;
  /** `answering` (default): any reply to PING, be it -LOADING or -NOAUTH; `ready`: one that is not -LOADING. */
  readonly waitFor?: "answering" | "ready";
};

export type RedisServer = {
  readonly port: number;
  readonly pid: number;
  /** `127.0.0.1:port` */
  readonly addr: string;
  readonly dir: string;
  /** Unix socket of the same server. */
  readonly socketPath: string;
  /** Sends a signal (SIGKILL, SIGSTOP, SIGCONT) and, when it kills, waits for the exit. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Ends the server whatever its state, and removes its temporary directory. Idempotent. */
  stop(): Promise<void>;
};

const START_ATTEMPTS = 5;
const START_TIMEOUT_MS = 10_000;

/** Starts a redis-server on loopback, without persistence unless `config` asks for it. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "duck-redis-")));
  const removeDir = async (): Promise<void> => {
    if (options.dir === undefined) await rm(dir, { recursive: true, force: true, maxRetries: 20 });
  };
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const socketPath = join(dir, "redis.sock");
    const { child, output } = launch(port, socketPath, dir, options.config ?? {});
    const hasStarted = await waitUntilUp(child, port, options.waitFor ?? "answering");
    if (hasStarted && child.pid !== undefined) {
      return handle({ child, pid: child.pid, port, dir, socketPath, removeDir });
    }
    await end(child);
    // Somebody took the port between our look and the server's bind.
    const isTaken = output().includes("Address already in use");
    if (!isTaken || options.port !== undefined || attempt === START_ATTEMPTS) {
      await removeDir();
      throw new Error(`redis-server did not start on port ${port}:\n${output()}`);
    }
  }
}

function launch(
  port: number,
  socketPath: string,
  dir: string,
  config: Readonly<Record<string, string | readonly string[]>>,
): { child: ChildProcess; output: () => string } {
  const defaults = {
    port: String(port),
    bind: "127.0.0.1",
    unixsocket: socketPath,
    dir,
    save: "",
    daemonize: "no",
    "enable-debug-command": "yes",
  };
  const lines = Object.entries({ ...defaults, ...config }).flatMap(([name, value]) =>
    (typeof value === "string" ? [value] : value).map((one) => `${name} ${one === "" ? '""' : one}`),
  );
  const child = spawn("redis-server", ["-"], { stdio: ["pipe", "pipe", "pipe"] });
  let text = "";
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-4_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.on("error", (error) => keep(Buffer.from(error.message)));
  child.stdin.on("error", () => undefined);
  child.stdin.end(`${lines.join("\n")}\n`);
  return { child, output: () => text };
}

async function waitUntilUp(
  child: ChildProcess,
  port: number,
  waitFor: "answering" | "ready",
): Promise<boolean> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline && !hasExited(child)) {
    const reply = await ping(port);
    // The child must be the one that answers: with the port taken it exits instead.
    if (reply !== undefined && !(waitFor === "ready" && reply.startsWith("-LOADING"))) {
      await delay(5);
      if (!hasExited(child)) return true;
    }
    await delay(10);
  }
  return false;
}

function ping(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.setTimeout(500, () => socket.destroy());
    socket.once("connect", () => socket.write("PING\r\n"));
    socket.once("data", (chunk) => {
      resolve(chunk.toString());
      socket.destroy();
    });
    socket.once("error", () => resolve(undefined));
    socket.once("close", () => resolve(undefined));
  });
}

function handle(server: {
  child: ChildProcess;
  pid: number;
  port: number;
  dir: string;
  socketPath: string;
  removeDir: () => Promise<void>;
}): RedisServer {
  const { child, pid, port, dir, socketPath, removeDir } = server;
  return {
    port,
    pid,
    dir,
    socketPath,
    addr: `127.0.0.1:${port}`,
    kill: async (signal) => {
      const exited = hasExited(child) ? Promise.resolve() : once(child, "exit");
      child.kill(signal);
      if (signal === "SIGKILL" || signal === "SIGTERM") await exited;
    },
    stop: async () => {
      await end(child);
      await removeDir();
    },
  };
}

/** SIGKILL works on a stopped process too. */
async function end(child: ChildProcess): Promise<void> {
  if (hasExited(child) || child.pid === undefined) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}
