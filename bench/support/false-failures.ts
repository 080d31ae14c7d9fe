import { setTimeout as sleep } from "node:timers/promises";

import { readStatus } from "../../agent/status.js";
import { startCheckTargets } from "./check-targets.js";
import { EventLog } from "./event-log.js";
import { startProgram } from "./program.js";
import { startTier } from "./tier.js";

export type SoakOptions = {
  /** Checks of healthy services, half of them Redis and half HTTP, each once a second. */
  readonly checks: number;
  readonly durationMs: number;
  /** Processes that do nothing but use a CPU, from when every node is healthy on. */
  readonly hogs: number;
  readonly onSecond?: (line: string) => void;
};

export type SoakResult = {
  /**
   * Committed cuts to down or degraded although every service was healthy: what must not happen. Unknown is no
   * failure but the observers' self-doubt showing: traffic goes on.
   */
  readonly falseFailures: readonly string[];
  readonly runs: number;
  /** Failures that the agent did not believe because it had stood still itself. */
  readonly tainted: number;
  readonly selfDoubtMax: number;
  readonly latenessP99MaxMs: number;
};

const HEALTHY_WITHIN_MS = 60_000;

/** Watches healthy services on a host whose CPUs are taken, and counts what is wrongly called a failure. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { checks, durationMs, hogs, onSecond = () => undefined } = options;
  const closers: (() => Promise<void> | void)[] = [];
  try {
    const redis = await startCheckTargets("redis", Math.floor(checks / 2));
    closers.push(() => redis.program.stop());
    const http = await startCheckTargets("http", Math.ceil(checks / 2));
    closers.push(() => http.program.stop());
    const tier = await startTier(clustersYaml(redis.ports, http.ports));
    closers.push(() => tier.stop());
    const log = new EventLog(tier.address);
    closers.push(() => log.close());
    await tier.startAgent();
    const status = (): ReturnType<typeof readStatus> => readStatus(`${tier.folder}/agent`);
    await untilHealthy(log, checks);
    for (let hog = 0; hog < hogs; hog++) {
      const program = await startProgram({
        command: process.execPath,
        args: ["-e", "for (;;);"],
        readyWhen: null,
      });
      closers.push(() => program.stop());
    }
    const sinceMs = performance.now();
    const before = await status();
    let [selfDoubtMax, latenessP99MaxMs] = [0, 0];
    let last = before;
    while (performance.now() - sinceMs < durationMs) {
      await sleep(1_000);
      last = await status();
      selfDoubtMax = Math.max(selfDoubtMax, last.selfDoubt.level);
      latenessP99MaxMs = Math.max(latenessP99MaxMs, last.checks.latenessP99Ms);
      onSecond(`${last.checks.runs - before.checks.runs} runs, self-doubt ${last.selfDoubt.level}`);
    }
    const falseFailures = log.events
      .filter(
        ({ type, to, atMs }) => atMs >= sinceMs && type === "state" && (to === "down" || to === "degraded"),
      )
      .map(({ addr, to, message }) => `${addr} ${to}: ${message}`);
    const runs = last.checks.runs - before.checks.runs;
    const tainted = last.checks.tainted - before.checks.tainted;
    return { falseFailures, runs, tainted, selfDoubtMax, latenessP99MaxMs };
  } finally {
    for (const closer of closers.reverse()) await closer();
  }
}

async function untilHealthy(log: EventLog, nodes: number): Promise<void> {
  const deadlineMs = performance.now() + HEALTHY_WITHIN_MS;
  for (;;) {
    const states = new Map(
      log.events.filter(({ type }) => type === "state").map(({ addr, to }) => [addr, to] as const),
    );
    const healthy = [...states.values()].filter((state) => state === "healthy").length;
    if (healthy === nodes) return;
    if (performance.now() > deadlineMs) throw new Error(`Only ${healthy} of ${nodes} nodes became healthy`);
    await sleep(100);
  }
}

function clustersYaml(redis: readonly number[], http: readonly number[]): string {
  const nodes = (ports: readonly number[]): string =>
    ports.map((port) => `{addr: "127.0.0.1:${port}"}`).join(", ");
  return `clusters:
  redis:
    type: redis
    nodes: [${nodes(redis)}]
    health_checks: [{type: basic, every: 1s, timeout: 1s, commands: [["PING"]]}]
  web:
    type: http
    nodes: [${nodes(http)}]
    health_checks: [{type: http, url: /health, every: 1s, timeout: 1s}]
`;
}
