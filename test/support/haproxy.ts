import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

import { ask } from "../../appliers/haproxy/cli.js";

export type HaproxyServer = {
  /** The master's process id. */
  readonly pid: number;
  readonly masterSocket: string;
  /** What it has written so far, the end of it. */
  output(): string;
  /** Kills the master and its workers at once, as a crash would. */
  crash(): Promise<void>;
  /** Ends it whatever its state. Idempotent. */
  stop(): Promise<void>;
};

const START_TIMEOUT_MS = 10_000;

/** Starts HAProxy in master-worker mode with a master socket, and waits until a worker serves. */
export async function startHaproxy(options: {
  readonly files: readonly string[];
  /** Path of the socket to make. Short: the system allows 107 bytes. */
  readonly masterSocket: string;
  readonly pidFile?: string;
}): Promise<HaproxyServer> {
  const { files, masterSocket, pidFile } = options;
  const args = ["-W", "-db", "-S", masterSocket, ...(pidFile === undefined ? [] : ["-p", pidFile])];
  // A process group of its own, so that the crash reaches the workers and nothing else.
  const child = spawn("haproxy", [...args, ...files.flatMap((file) => ["-f", file])], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let text = "";
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-8_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.on("error", (error) => keep(Buffer.from(error.message)));

  const crash = async (): Promise<void> => {
    if (hasExited(child) || child.pid === undefined) return;
    const exit = once(child, "exit");
    process.kill(-child.pid, "SIGKILL");
    await exit;
  };
  if (!(await isServing(child, masterSocket)) || child.pid === undefined) {
    await crash();
    throw new Error(`haproxy did not start:\n${text}`);
  }
  return { pid: child.pid, masterSocket, output: () => text, crash, stop: crash };
}

async function isServing(child: ChildProcess, masterSocket: string): Promise<boolean> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline && !hasExited(child)) {
    const processes = await ask(masterSocket, "show proc").catch(() => "");
    if (/^\d+\s+worker\s+0\s/m.test(processes)) return true;
    await delay(10);
  }
  return false;
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
