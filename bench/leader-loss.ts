/**
 * A Redis dies, and in every second trial the leader of the coordinators dies with it: from the fault to the
 * committed cut, as it arrives at a subscriber of a coordinator that lives.
 * Run: node --import tsx bench/leader-loss.ts [--trials 20] [--json]
 * The programs come from dist/: `npm run build` first. Needs redis-server.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { eventually, startCoordinatorTier } from "../test/support/coordinator-tier.js";
import type { CoordinatorTier, TierProcess } from "../test/support/coordinator-tier.js";
import { runProgram } from "../test/support/program.js";
import { EventLog } from "./support/event-log.js";
import { startRedisService } from "./support/faulty-service.js";
import type { FaultyService } from "./support/faulty-service.js";
import { percentile, readOptions, rounded, textTable } from "./support/figures.js";
import { loadAverage } from "./support/process-usage.js";

const { numbers, isJson } = readOptions(process.argv.slice(2), { trials: 20 });
const FAULTS = ["Redis alone", "Redis and the leader"] as const;
type Fault = (typeof FAULTS)[number];
/** A cut that has not come by then is counted as missing. */
const CUT_WITHIN_MS = 20_000;
/** The fault falls anywhere between two checks. */
const CHECK_EVERY_MS = 1_000;

const endings: (() => Promise<void> | void)[] = [];
const owner = { after: (ending: () => Promise<void> | void) => void endings.push(ending) };
const loads = [loadAverage()];
try {
  const services = [await startRedisService(), await startRedisService(), await startRedisService()];
  for (const service of services) endings.push(() => service.stop());
  const nodes = services.map(({ port }) => `"127.0.0.1:${port}"`).join(", ");
  const tier = await startCoordinatorTier(owner, {
    yaml: `clusters:
  cache:
    type: redis
    nodes: [${nodes}]
    health_checks: [{type: basic, every: ${CHECK_EVERY_MS}ms, timeout: 1s, commands: [[PING]]}]
    policy: {damping: false}`,
  });
  await startAgent(tier);
  const cuts = new Map<Fault, (number | null)[]>(FAULTS.map((fault) => [fault, []]));
  for (let trial = 0; trial < numbers.trials; trial++) {
    for (const fault of FAULTS) {
      const service = services[trial % services.length];
      if (service !== undefined) cuts.get(fault)?.push(await faultToCut(tier, service, fault));
    }
  }
  loads.push(loadAverage());
  report(cuts);
} finally {
  for (const ending of endings.reverse()) await ending();
}

/** Puts all right again before it returns. Null: no cut came. */
async function faultToCut(
  tier: CoordinatorTier,
  service: FaultyService,
  fault: Fault,
): Promise<number | null> {
  await allWell(tier);
  const leader = await tier.leader();
  const others = tier.members.filter((member) => member !== leader);
  const logs = others.map(({ grpc }) => new EventLog(grpc));
  await sleep(Math.random() * CHECK_EVERY_MS);
  const isWithLeader = fault === "Redis and the leader";
  const [brokenAtMs] = await Promise.all([
    service.breakIt("kill"),
    isWithLeader ? leader.program().kill() : Promise.resolve(),
  ]);
  const cutAtMs = await firstCut(logs, service.port, brokenAtMs);
  for (const log of logs) log.close();
  if (isWithLeader) await leader.start();
  await service.mend("kill");
  return cutAtMs === null ? null : cutAtMs - brokenAtMs;
}

async function firstCut(logs: readonly EventLog[], port: number, sinceMs: number): Promise<number | null> {
  const deadlineMs = sinceMs + CUT_WITHIN_MS;
  while (performance.now() < deadlineMs) {
    const seen = logs.flatMap(
      (log) =>
        log.first(sinceMs, ({ type, addr, to }) => {
          return type === "state" && addr === `127.0.0.1:${port}` && to === "down";
        }) ?? [],
    );
    if (seen.length > 0) return Math.min(...seen.map(({ atMs }) => atMs));
    await sleep(2);
  }
  return null;
}

/** All coordinators answer and follow one leader, and all of them say that every Redis is healthy. */
async function allWell(tier: CoordinatorTier): Promise<void> {
  const says = async ({ id }: TierProcess): Promise<boolean> => {
    const { code, out } = await tier.ask(id, "nodes", "list", "cache", "-o", "json");
    const rows = code === 0 ? (JSON.parse(out) as { readonly state: string }[]) : [];
    return rows.length > 0 && rows.every(({ state }) => state === "healthy");
  };
  await eventually("every Redis healthy for every coordinator", async () => {
    const answers = await Promise.all(tier.members.map(says));
    return answers.every((isWell) => isWell);
  });
}

async function startAgent(tier: CoordinatorTier): Promise<void> {
  const file = join(tier.folder, "agent.yaml");
  const coordinators = tier.members.map(({ grpc }) => `"${grpc}"`).join(", ");
  await writeFile(file, `agent: {id: a1, state_dir: agent, coordinators: [${coordinators}]}\n`);
  const program = runProgram("duck-agent", ["-c", file]);
  endings.push(() => program.kill());
}

function report(cuts: ReadonlyMap<Fault, readonly (number | null)[]>): void {
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ loads, cuts: Object.fromEntries(cuts) }, null, 2)}\n`);
    return;
  }
  process.stdout.write(`Load average ${loads.join(" to ")}\n`);
  const rows = [...cuts].map(([fault, all]) => {
    const came = all.filter((value) => value !== null);
    return [
      fault,
      String(all.length),
      String(all.length - came.length),
      ...[0.5, 0.9, 1].map((share) => String(rounded(percentile(came, share)))),
    ];
  });
  process.stdout.write(
    textTable(["Killed with SIGKILL → committed cut, ms", "trials", "missed", "p50", "p90", "worst"], rows),
  );
}
