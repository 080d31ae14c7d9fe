/**
 * How soon a fault becomes a committed cut, a finished trigger, and traffic that goes elsewhere; and how soon
 * a service that returns gets traffic again. Beside it HAProxy with checks of its own of the same servers.
 * Run: node --import tsx bench/detection.ts [--trials 30] [--kill 0] [--stop 0] [--refuse 0] [--json]
 * `--kill 0` leaves that fault out.
 * The programs come from dist/: `npm run build` first. Needs haproxy and redis-server.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { readStatus } from "../agent/status.js";
import { freePort } from "../test/support/free-port.js";
import { startHaproxy } from "../test/support/haproxy.js";
import { EventLog } from "./support/event-log.js";
import { FAULTS, startRedisService, startWebService } from "./support/faulty-service.js";
import type { Fault, FaultyService } from "./support/faulty-service.js";
import { percentile, readOptions, rounded, textTable } from "./support/figures.js";
import { loadAverage } from "./support/process-usage.js";
import { startTier } from "./support/tier.js";
import { Traffic } from "./support/traffic.js";

const { numbers, isJson } = readOptions(process.argv.slice(2), {
  trials: 30,
  kill: 1,
  stop: 1,
  refuse: 1,
});
const WANTED = FAULTS.filter((fault) => numbers[fault] !== 0);

const KINDS = ["http", "redis"] as const;
type Kind = (typeof KINDS)[number];
const SERVERS = 3;
/** One of three requests should meet the faulty server: it is met every 30 ms. */
const ASK_EVERY_MS = 10;
/** So long without a bad request, ten of which should have met the faulty server, is a proxy that avoids it. */
const GOOD_MS = 300;
/** A phase that has not come by then is counted as missing. */
const PHASE_WITHIN_MS = 20_000;

/** Milliseconds from the fault (or from the return) to each phase; null: it did not come. */
type Phases = {
  readonly cut: number | null;
  readonly trigger: number | null;
  readonly ours: number | null;
  readonly theirs: number | null;
};
type Trial = {
  readonly kind: Kind;
  readonly fault: Fault;
  /** How much the agent doubted itself at the end of the fault; its patience grows with it. */
  readonly selfDoubt: number;
  readonly away: Phases;
  readonly back: Phases;
};

/** What all lanes share. */
type Shared = { readonly events: EventLog; readonly agentState: string };

type Lane = {
  readonly kind: Kind;
  readonly services: readonly FaultyService[];
  readonly ours: Traffic;
  readonly theirs: Traffic;
};

const PHASE_NAMES = {
  cut: "cut committed",
  trigger: "trigger finished",
  ours: "our HAProxy",
  theirs: "HAProxy's own checks",
} as const;

const loads: number[] = [loadAverage()];
const closers: (() => Promise<void> | void)[] = [];
try {
  const { lanes, shared } = await build();
  const trials = (await Promise.all(lanes.map((lane) => runLane(lane, shared)))).flat();
  loads.push(loadAverage());
  report(trials);
} finally {
  for (const closer of closers.reverse()) await closer();
}

/** Servers, both proxies, the coordinator and the agent; returns once both proxies reach every server. */
async function build(): Promise<{ lanes: readonly Lane[]; shared: Shared }> {
  const services: Record<Kind, FaultyService[]> = { http: [], redis: [] };
  for (const kind of KINDS) {
    for (let at = 0; at < SERVERS; at++) {
      const service = await (kind === "http" ? startWebService() : startRedisService());
      services[kind].push(service);
      closers.push(() => service.stop());
    }
  }
  const ports = {
    ours: { http: await freePort(), redis: await freePort() },
    theirs: { http: await freePort(), redis: await freePort() },
  };
  const tier = await startTier(clustersYaml(services, ports.ours));
  closers.push(() => tier.stop());
  const events = new EventLog(tier.address);
  closers.push(() => events.close());
  for (const [name, text] of [
    [
      "ours",
      "global\ndefaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nfrontend f\n  mode http\n  bind unix@FOLDER/start.sock\n  http-request return status 503\n",
    ],
    ["theirs", checkingConfig(services, ports.theirs)],
  ] as const) {
    const file = join(tier.folder, `${name}.cfg`);
    await writeFile(file, text.replaceAll("FOLDER", tier.folder));
    const haproxy = await startHaproxy({
      files: [file],
      masterSocket: join(tier.folder, `${name}-master.sock`),
    });
    closers.push(() => haproxy.stop());
  }
  await tier.startAgent();
  const lanes = KINDS.map((kind) => {
    const [ours, theirs] = (["ours", "theirs"] as const).map((which) => {
      const traffic = new Traffic({ port: ports[which][kind], kind, everyMs: ASK_EVERY_MS });
      closers.push(() => traffic.close());
      return traffic;
    }) as [Traffic, Traffic];
    return { kind, services: services[kind], ours, theirs };
  });
  await untilAllServe(lanes);
  return { lanes, shared: { events, agentState: join(tier.folder, "agent") } };
}

async function untilAllServe(lanes: readonly Lane[]): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  for (const { kind, services, ours, theirs } of lanes) {
    for (const { port } of services) {
      while (ours.reachesSince(port, 0) === null || theirs.reachesSince(port, 0) === null) {
        if (performance.now() > deadlineMs) throw new Error(`No proxy reaches the ${kind} server at ${port}`);
        await sleep(50);
      }
    }
  }
}

async function runLane(lane: Lane, shared: Shared): Promise<readonly Trial[]> {
  const trials: Trial[] = [];
  for (let round = 0; round < numbers.trials; round++) {
    for (const fault of WANTED) {
      const service = lane.services[round % SERVERS] as FaultyService;
      // Anywhere between two checks.
      await sleep(1_000 + Math.random() * 1_000);
      const trial = await runTrial({ lane, shared, service, fault });
      trials.push(trial);
      process.stderr.write(`${JSON.stringify(trial)}\n`);
    }
  }
  return trials;
}

async function runTrial(options: {
  readonly lane: Lane;
  readonly shared: Shared;
  readonly service: FaultyService;
  readonly fault: Fault;
}): Promise<Trial> {
  const { lane, shared, service, fault } = options;
  const { events, agentState } = shared;
  const { kind, ours, theirs } = lane;
  const addr = `127.0.0.1:${service.port}`;
  const trigger = (sinceMs: number): number | null =>
    events.first(sinceMs, ({ type, cluster }) => type === "run.finished" && cluster === kind)?.atMs ?? null;
  const cut = (sinceMs: number, isDown: boolean): number | null =>
    events.first(
      sinceMs,
      (event) => event.type === "state" && event.addr === addr && (event.to === "healthy") !== isDown,
    )?.atMs ?? null;

  for (const traffic of [ours, theirs]) traffic.forget();
  const brokenMs = await service.breakIt(fault);
  const away = await phases(brokenMs, {
    cut: () => cut(brokenMs, true),
    trigger: () => trigger(cut(brokenMs, true) ?? Infinity),
    ours: () => ours.avoidsSince(service.port, brokenMs, GOOD_MS),
    theirs: () => theirs.avoidsSince(service.port, brokenMs, GOOD_MS),
  });
  const { selfDoubt } = await readStatus(agentState);
  const mendedMs = await service.mend(fault);
  const back = await phases(mendedMs, {
    cut: () => cut(mendedMs, false),
    trigger: () => trigger(cut(mendedMs, false) ?? Infinity),
    ours: () => ours.reachesSince(service.port, mendedMs),
    theirs: () => theirs.reachesSince(service.port, mendedMs),
  });
  return { kind, fault, selfDoubt: selfDoubt.level, away, back };
}

/** Waits for every phase; each tells when it came, or null while it has not. */
async function phases(
  sinceMs: number,
  find: Readonly<Record<keyof Phases, () => number | null>>,
): Promise<Phases> {
  const ask = (name: keyof Phases): number | null => {
    const atMs = find[name]();
    return atMs === null ? null : rounded(atMs - sinceMs);
  };
  for (;;) {
    const found = { cut: ask("cut"), trigger: ask("trigger"), ours: ask("ours"), theirs: ask("theirs") };
    const isComplete = Object.values(found).every((value) => value !== null);
    if (isComplete || performance.now() - sinceMs > PHASE_WITHIN_MS) return found;
    await sleep(100);
  }
}

function clustersYaml(
  services: Readonly<Record<Kind, readonly FaultyService[]>>,
  ports: Readonly<Record<Kind, number>>,
): string {
  const nodes = (kind: Kind): string =>
    services[kind].map(({ port }) => `{addr: "127.0.0.1:${port}"}`).join(", ");
  const checks = {
    http: "{type: http, url: /, every: 1s, timeout: 1s}",
    redis: '{type: basic, every: 1s, timeout: 1s, commands: [["PING"]]}',
  };
  const cluster = (kind: Kind): string => `  ${kind}:
    type: ${kind}
    nodes: [${nodes(kind)}]
    health_checks: [${checks[kind]}]
    # Dozens of faults in a row would count as flapping, and returns would be put off.
    policy: {damping: false}
    triggers: [{on: [active], do: [{type: shell, commands: ["true"]}]}]
`;
  return `clusters:
${KINDS.map(cluster).join("")}balancers:
  front:
    type: haproxy
    clusters: [${KINDS.join(", ")}]
    mode: file
    path: FOLDER/ours.cfg
    frontends: {http: {bind: "127.0.0.1:${ports.http}"}, redis: {bind: "127.0.0.1:${ports.redis}"}}
    stats_socket: FOLDER/ours-stats.sock
    reload: {master: FOLDER/ours-master.sock}
    # Every choice of a dead server shall be seen; a returning one shall get its whole share at once.
    options: ["retries 0"]
    slow_start: 0
`;
}

function checkingConfig(
  services: Readonly<Record<Kind, readonly FaultyService[]>>,
  ports: Readonly<Record<Kind, number>>,
): string {
  const servers = (kind: Kind): string =>
    services[kind]
      .map(({ port }) => `  server s${port} 127.0.0.1:${port} check inter 1s fall 3 rise 2\n`)
      .join("");
  const listen = (kind: Kind, lines: readonly string[]): string =>
    `listen ${kind}\n  bind 127.0.0.1:${ports[kind]}\n${lines.map((line) => `  ${line}\n`).join("")}${servers(kind)}`;
  return `global
defaults
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout check 1s
  retries 0
  balance roundrobin
${listen("http", ["mode http", "option httpchk GET /"])}${listen("redis", ["mode tcp", "option redis-check"])}`;
}

function report(trials: readonly Trial[]): void {
  const rows = KINDS.flatMap((kind) =>
    WANTED.flatMap((fault) =>
      (["away", "back"] as const).flatMap((way) =>
        (Object.keys(PHASE_NAMES) as (keyof Phases)[]).map((phase) => {
          const all = trials
            .filter((trial) => trial.kind === kind && trial.fault === fault)
            .map((trial) => trial[way][phase]);
          const values = all.filter((value) => value !== null);
          return {
            kind,
            fault,
            way,
            phase,
            p50Ms: rounded(percentile(values, 0.5), 0),
            p99Ms: rounded(percentile(values, 0.99), 0),
            missing: all.length - values.length,
            trials: all.length,
          };
        }),
      ),
    ),
  );
  if (isJson) {
    process.stdout.write(
      `${JSON.stringify({ trials: numbers.trials, loads, figures: rows, each: trials }, null, 2)}\n`,
    );
    return;
  }
  process.stdout.write(
    textTable(
      ["service  fault  way", "phase", "p50 ms", "p99 ms", "missing"],
      rows.map(({ kind, fault, way, phase, p50Ms, p99Ms, missing }) => [
        `${kind}  ${fault}  ${way}`,
        PHASE_NAMES[phase],
        String(p50Ms),
        String(p99Ms),
        String(missing),
      ]),
    ),
  );
  process.stdout.write(
    `${numbers.trials} trials each; checks every 1 s, timeout 1 s; load before and after ${loads.join(" and ")}\n`,
  );
}
