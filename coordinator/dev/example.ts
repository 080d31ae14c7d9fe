import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";

import { parseConfigText } from "../../common/config/load.js";
import type { ConfigFile } from "../file-config.js";
import { findProgram, freePortNear, startService } from "./example-services.js";
import type { ExampleService } from "./example-services.js";

export type Example = {
  readonly file: ConfigFile;
  /** The variables that its configuration is written with. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly services: readonly ExampleService[];
  /** What could not be part of it, and why. */
  readonly remarks: readonly string[];
  readonly stop: () => Promise<void>;
};

type Ports = { readonly web: readonly number[]; readonly redis: readonly number[]; readonly proxy: number };

/** Services get this long to end by themselves, milliseconds. */
const STOP_GRACE_MS = 2_000;

/**
 * Starts the services of examples/first-run and reads its configuration with the ports they got. Without
 * Redis or HAProxy on this host the example is smaller, and says so.
 */
export async function startExample(
  root: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Example> {
  const source = join(root, "examples", "first-run");
  const folder = join(root, ".clusterduck", "first-run");
  mkdirSync(folder, { recursive: true });
  const programs = {
    redis: findProgram("redis-server", env["PATH"]),
    haproxy: findProgram("haproxy", env["PATH"]),
  };
  const ports = await choosePorts();
  const text = configText(readFileSync(join(source, "clusterduck.yaml"), "utf8"), programs);
  const services: ExampleService[] = [];
  const stop = (): Promise<void> => stopServices(services);
  try {
    for (const [at, port] of ports.web.entries()) {
      services.push(
        await startService(`web ${at + 1}`, port, [
          process.execPath,
          join(source, "web-server.mjs"),
          String(port),
        ]),
      );
    }
    if (programs.redis !== null) {
      for (const [at, port] of ports.redis.entries()) {
        services.push(await startService(`redis ${at + 1}`, port, redisCommand(programs.redis, port)));
      }
    }
    if (programs.haproxy !== null) {
      services.push(
        await startService("haproxy", ports.proxy, prepareHaproxy(programs.haproxy, folder, ports.proxy)),
      );
    }
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  const variables = {
    ...env,
    EXAMPLE_DIR: folder,
    PROXY_PORT: String(ports.proxy),
    WEB_1_PORT: String(ports.web[0]),
    WEB_2_PORT: String(ports.web[1]),
    REDIS_1_PORT: String(ports.redis[0]),
    REDIS_2_PORT: String(ports.redis[1]),
  };
  return {
    file: { text, config: parseConfigText(text, join(source, "clusterduck.yaml"), variables) },
    env: variables,
    services,
    remarks: remarksOn(programs),
    stop,
  };
}

/** One after the other: two that are asked at once may be given the same free port. */
async function choosePorts(): Promise<Ports> {
  const chosen: number[] = [];
  for (const wanted of [8100, 8101, 8102, 8103, 8104]) {
    let port = await freePortNear(wanted);
    while (chosen.includes(port)) port = await freePortNear(0);
    chosen.push(port);
  }
  const [proxy = 0, ...rest] = chosen;
  return { proxy, web: rest.slice(0, 2), redis: rest.slice(2) };
}

/** The example's text without what this host cannot run. */
function configText(text: string, programs: { redis: string | null; haproxy: string | null }): string {
  const document = parseDocument(text);
  if (programs.redis === null) document.deleteIn(["clusters", "my_redis_cluster"]);
  if (programs.haproxy === null) document.deleteIn(["clusters", "web", "balancers"]);
  return programs.redis === null || programs.haproxy === null ? document.toString() : text;
}

function remarksOn(programs: { redis: string | null; haproxy: string | null }): readonly string[] {
  return [
    ...(programs.redis === null ? ["redis-server is not installed: the example runs without Redis"] : []),
    ...(programs.haproxy === null
      ? ["haproxy is not installed: the example runs without a proxy in front"]
      : []),
  ];
}

function redisCommand(program: string, port: number): readonly [string, ...string[]] {
  return [program, "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
}

/** HAProxy needs a file to start with; clusterduck replaces it as soon as it knows the servers' states. */
function prepareHaproxy(program: string, folder: string, port: number): readonly [string, ...string[]] {
  const config = join(folder, "haproxy.cfg");
  const masterSocket = join(folder, "haproxy-master.sock");
  for (const socket of [masterSocket, join(folder, "haproxy-stats.sock")]) rmSync(socket, { force: true });
  writeFileSync(
    config,
    [
      "defaults",
      "  mode http",
      "  timeout connect 1s",
      "  timeout client 5s",
      "  timeout server 5s",
      "frontend starting",
      `  bind 127.0.0.1:${port}`,
      "  http-request return status 503 content-type text/plain string starting",
      "",
    ].join("\n"),
  );
  return [program, "-W", "-S", masterSocket, "-f", config];
}

async function stopServices(services: readonly ExampleService[]): Promise<void> {
  await Promise.all(
    services.map(async ({ process: child }) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
      await ended;
      clearTimeout(timer);
    }),
  );
}

/** The package's own folder, from the sources and from the bundle alike. */
export function packageRoot(): string {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const isBundle = here.replace(/\/$/, "").endsWith("/dist");
  return isBundle ? join(here, "..") : join(here, "..", "..");
}
