/**
 * What an agent costs beside HAProxy's own checks of the same services, and how punctual it stays.
 * Run: node --import tsx bench/agent.ts [--redis 1000] [--http 1000] [--seconds 30] [--rounds 3] [--alone 1] [--first 1] [--json]
 * `--alone 1` gives what is measured the first CPU for itself (needs root); start the bench with `taskset -c 1`.
 * `--first 1` lets it share both CPUs and puts it before all other processes (needs root): for a busy machine.
 * The programs come from dist/: `npm run build` first.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { readStatus } from "../agent/status.js";
import { startCheckTargets } from "./support/check-targets.js";
import { median, readOptions, rounded, textTable } from "./support/figures.js";
import { familyOf, loadAverage, usageOf, usageOfAll } from "./support/process-usage.js";
import { ALONE_ON_CPU, startProgram } from "./support/program.js";
import { startTier } from "./support/tier.js";
import type { Tier } from "./support/tier.js";

const { numbers, isJson } = readOptions(process.argv.slice(2), {
  redis: 1_000,
  http: 1_000,
  seconds: 30,
  rounds: 3,
  alone: 0,
  first: 0,
});
/** The agent and HAProxy alike; what they check and the coordinator stay as they are. */
const BEFORE_OTHERS = ["chrt", "-r", "5"] as const;
const prefix = numbers.alone === 1 ? ALONE_ON_CPU : numbers.first === 1 ? BEFORE_OTHERS : [];

/** Connecting, and compiling what runs often, is not what the figures are about. */
const AGENT_WARM_UP_MS = 10_000;
/** An agent that starts on a busy machine doubts itself, and checks less often until it no longer does. */
const CALM_WITHIN_MS = 60_000;
const HAPROXY_WARM_UP_MS = 5_000;
const IDLE_AFTER_MS = 10_000;

type Figures = {
  readonly agentCpuMsPer1000: number;
  readonly agentRssMb: number;
  readonly latenessP50Ms: number;
  readonly latenessP99Ms: number;
  readonly checksPerSecond: number;
  readonly coordinatorCpuMsPer1000: number;
  readonly coordinatorRssMb: number;
  readonly haproxyCpuMsPer1000: number;
  readonly haproxyRssMb: number;
  readonly loadBefore: number;
};

const redis = await startCheckTargets("redis", numbers.redis);
const http = await startCheckTargets("http", numbers.http);
try {
  const idleRssMb = await measureIdle();
  const rounds: Figures[] = [];
  for (let round = 0; round < numbers.rounds; round++) {
    const ours = await measureOurs();
    rounds.push({ ...ours, ...(await measureHaproxy()) });
    process.stderr.write(`${JSON.stringify(rounds.at(-1))}\n`);
  }
  report(rounds, idleRssMb);
} finally {
  await redis.program.stop();
  await http.program.stop();
}

/** An agent without work, connected to its coordinator. */
async function measureIdle(): Promise<number> {
  const tier = await startTier("clusters: {}");
  try {
    const agent = await tier.startAgent(prefix);
    await sleep(IDLE_AFTER_MS);
    return usageOf(agent.pid).rssMb;
  } finally {
    await tier.stop();
  }
}

async function measureOurs(): Promise<
  Omit<Figures, "haproxyCpuMsPer1000" | "haproxyRssMb"> & { readonly loadBefore: number }
> {
  const loadBefore = loadAverage();
  const tier = await startTier(clustersYaml());
  try {
    const agent = await tier.startAgent(prefix);
    await untilChecking(tier);
    await sleep(AGENT_WARM_UP_MS);
    await untilCalm(tier);
    const [before, coordinatorBefore, statusBefore] = [
      usageOf(agent.pid),
      usageOf(tier.coordinator.pid),
      await agentStatus(tier),
    ];
    const latenesses: { readonly p50: number; readonly p99: number }[] = [];
    const startedMs = performance.now();
    // The agent keeps the lateness of its last ten seconds.
    while (performance.now() - startedMs < numbers.seconds * 1_000) {
      await sleep(Math.min(10_000, numbers.seconds * 1_000));
      const { checks } = await agentStatus(tier);
      latenesses.push({ p50: checks.latenessP50Ms, p99: checks.latenessP99Ms });
    }
    const after = usageOf(agent.pid);
    const coordinatorAfter = usageOf(tier.coordinator.pid);
    const status = await agentStatus(tier);
    const elapsedMs = performance.now() - startedMs;
    const runs = status.checks.runs - statusBefore.checks.runs;
    return {
      agentCpuMsPer1000: ((after.cpuMs - before.cpuMs) / runs) * 1_000,
      agentRssMb: after.rssMb,
      latenessP50Ms: median(latenesses.map(({ p50 }) => p50)),
      latenessP99Ms: Math.max(...latenesses.map(({ p99 }) => p99)),
      checksPerSecond: (runs / elapsedMs) * 1_000,
      coordinatorCpuMsPer1000: ((coordinatorAfter.cpuMs - coordinatorBefore.cpuMs) / runs) * 1_000,
      coordinatorRssMb: coordinatorAfter.rssMb,
      loadBefore,
    };
  } finally {
    await tier.stop();
  }
}

async function measureHaproxy(): Promise<Pick<Figures, "haproxyCpuMsPer1000" | "haproxyRssMb">> {
  const folder = await mkdtemp(join(tmpdir(), "duck-bench-"));
  try {
    const file = join(folder, "haproxy.cfg");
    await writeFile(file, haproxyConfig(join(folder, "stats.sock")));
    const [command = "haproxy", ...args] = [...prefix, "haproxy", "-db", "-f", file];
    const haproxy = await startProgram({
      command,
      args,
      readyWhen: null,
    });
    try {
      await sleep(HAPROXY_WARM_UP_MS);
      if (haproxy.child.exitCode !== null) throw new Error(`haproxy ended:\n${haproxy.output()}`);
      const pids = familyOf(haproxy.pid);
      const before = usageOfAll(pids);
      await sleep(numbers.seconds * 1_000);
      const after = usageOfAll(pids);
      const checks = (numbers.redis + numbers.http) * numbers.seconds;
      return {
        haproxyCpuMsPer1000: ((after.cpuMs - before.cpuMs) / checks) * 1_000,
        haproxyRssMb: after.rssMb,
      };
    } finally {
      await haproxy.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function untilChecking(tier: Tier): Promise<void> {
  const wanted = numbers.redis + numbers.http;
  while ((await agentStatus(tier)).checks.checks < wanted) await sleep(100);
}

async function untilCalm(tier: Tier): Promise<void> {
  const deadlineMs = performance.now() + CALM_WITHIN_MS;
  while ((await agentStatus(tier)).selfDoubt.level > 0 && performance.now() < deadlineMs) await sleep(250);
  // The lateness of the last ten seconds is what the status shows.
  await sleep(AGENT_WARM_UP_MS);
}

function agentStatus(tier: Tier): ReturnType<typeof readStatus> {
  return readStatus(`${tier.folder}/agent`);
}

function clustersYaml(): string {
  const nodes = (ports: readonly number[]): string =>
    ports.map((port) => `{addr: "127.0.0.1:${port}"}`).join(", ");
  return `clusters:
  redis:
    type: redis
    nodes: [${nodes(redis.ports)}]
    health_checks: [{type: basic, every: 1s, timeout: 1s, commands: [["PING"]]}]
  web:
    type: http
    nodes: [${nodes(http.ports)}]
    health_checks: [{type: http, url: /health, every: 1s, timeout: 1s}]
`;
}

function haproxyConfig(statsSocket: string): string {
  const servers = (name: string, ports: readonly number[]): string =>
    ports
      .map((port, at) => `  server ${name}${at} 127.0.0.1:${port} check inter 1s fall 3 rise 2\n`)
      .join("");
  return `global
  stats socket ${statsSocket}
  maxconn 2000
  spread-checks 10
defaults
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  timeout check 1s
backend redis
  mode tcp
  option redis-check
${servers("r", redis.ports)}
backend web
  mode http
  option httpchk GET /health
${servers("w", http.ports)}`;
}

function report(rounds: readonly Figures[], idleRssMb: number): void {
  const of = (name: keyof Figures, digits?: number): number =>
    rounded(median(rounds.map((figures) => figures[name])), digits);
  const ratio = rounded(of("agentCpuMsPer1000", 3) / of("haproxyCpuMsPer1000", 3), 2);
  const summary = {
    checks: { redis: numbers.redis, http: numbers.http },
    seconds: numbers.seconds,
    rounds: numbers.rounds,
    medians: {
      checksPerSecond: of("checksPerSecond", 0),
      agentCpuMsPer1000: of("agentCpuMsPer1000"),
      haproxyCpuMsPer1000: of("haproxyCpuMsPer1000"),
      cpuRatio: ratio,
      agentRssMb: of("agentRssMb"),
      idleAgentRssMb: rounded(idleRssMb),
      haproxyRssMb: of("haproxyRssMb"),
      coordinatorCpuMsPer1000: of("coordinatorCpuMsPer1000"),
      coordinatorRssMb: of("coordinatorRssMb"),
      latenessP50Ms: of("latenessP50Ms", 2),
      latenessP99Ms: of("latenessP99Ms", 2),
      loadBefore: of("loadBefore"),
    },
    each: rounds,
  };
  if (isJson) {
    process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
    return;
  }
  const { medians } = summary;
  process.stdout.write(
    textTable(
      ["", "duck-agent", "HAProxy's own checks", "ratio"],
      [
        [
          "CPU ms per 1,000 checks",
          String(medians.agentCpuMsPer1000),
          String(medians.haproxyCpuMsPer1000),
          String(ratio),
        ],
        ["RSS, MB", String(medians.agentRssMb), String(medians.haproxyRssMb), ""],
        ["RSS idle, MB", String(medians.idleAgentRssMb), "", ""],
        ["lateness p50 / p99, ms", `${medians.latenessP50Ms} / ${medians.latenessP99Ms}`, "", ""],
        ["checks a second", String(medians.checksPerSecond), "", ""],
        ["coordinator CPU ms per 1,000", String(medians.coordinatorCpuMsPer1000), "", ""],
        ["coordinator RSS, MB", String(medians.coordinatorRssMb), "", ""],
      ],
    ),
  );
  process.stdout.write(
    `${numbers.redis} Redis and ${numbers.http} HTTP services each second, ${numbers.seconds} s, medians of ${numbers.rounds}; load before ${medians.loadBefore}\n`,
  );
}
