/**
 * What the schedule itself costs: 10,000 checks a second that look at nothing.
 * Run: node --import tsx bench/schedule.ts [checks] [seconds]
 */
import { spreadMs } from "../checks/schedule/cadence.js";
import { createSchedule } from "../checks/schedule/create.js";
import { SELF_DOUBT_DEFAULTS } from "../checks/schedule/self-doubt.js";
import type { Check } from "../checks/check.js";
import { systemClock } from "../common/clock.js";
import type { CheckConfig } from "../common/config/model.js";
import type { Observation } from "../common/model/observation.js";
import { systemRandom } from "../common/random.js";

const [checks = 10_000, seconds = 20] = process.argv.slice(2).map(Number);
const EVERY_MS = 1_000;
const config: CheckConfig = {
  id: "noop",
  type: "basic",
  options: {},
  everyMs: EVERY_MS,
  timeoutMs: 1_000,
  fall: 3,
  rise: 2,
};
const PASSED: Observation = { outcome: "passed", latencyMs: 0 };

/** Starts of one check: how far they lie from a grid of EVERY_MS shows drift. */
type Starts = { firstMs: number; lastMs: number; count: number };
const starts: Starts[] = [];

function noop(): Check {
  const mine: Starts = { firstMs: 0, lastMs: 0, count: 0 };
  starts.push(mine);
  return {
    run: () => {
      const nowMs = performance.now();
      if (mine.count === 0) mine.firstMs = nowMs;
      mine.lastMs = nowMs;
      mine.count += 1;
      return Promise.resolve(PASSED);
    },
    close: () => {},
  };
}

let reports = 0;
const schedule = createSchedule({
  clock: systemClock,
  random: systemRandom,
  createCheck: noop,
  execChecks: {},
  onReports: (batch) => (reports += batch.length),
  // A busy machine must not stretch the intervals that are measured here.
  selfDoubtSource: null,
  selfDoubtRules: { ...SELF_DOUBT_DEFAULTS, loopDelayMs: Infinity },
});
const addressOf = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:6379`;
schedule.assign(
  Array.from({ length: checks }, (_, index) => ({
    node: { cluster: "bench", addr: addressOf(index) },
    epoch: 1,
    clusterType: "tcp" as const,
    checks: [config],
  })),
);

// The first seconds compile and fill; they are not measured.
await systemClock.sleep(3_000 + spreadMs(checks));
for (const each of starts) each.count = 0;
const runsBefore = schedule.stats().runs;
const cpuBefore = process.cpuUsage();
const startedMs = performance.now();
await systemClock.sleep(seconds * 1_000);
const elapsedMs = performance.now() - startedMs;
const cpu = process.cpuUsage(cpuBefore);
const runs = schedule.stats().runs - runsBefore;
const cpuMs = (cpu.user + cpu.system) / 1_000;

const drifts = starts.map((each) => each.lastMs - each.firstMs - (each.count - 1) * EVERY_MS);
const meanDriftMs = drifts.reduce((sum, drift) => sum + drift, 0) / drifts.length;
const worstDriftMs = Math.max(...drifts.map(Math.abs));
console.log(
  JSON.stringify(
    {
      checks,
      seconds: round(elapsedMs / 1_000),
      runsPerSecond: round(runs / (elapsedMs / 1_000)),
      cpuPercentOfOneCore: round((cpuMs / elapsedMs) * 100),
      cpuMsPer1000Runs: round((cpuMs / runs) * 1_000),
      latenessP50Ms: round(schedule.stats().latenessP50Ms),
      latenessP99Ms: round(schedule.stats().latenessP99Ms),
      meanDriftMs: round(meanDriftMs),
      worstDriftMsWithinJitter: round(worstDriftMs),
      reports,
      selfDoubt: schedule.selfDoubt(),
      rssMb: round(process.memoryUsage().rss / 1_048_576),
    },
    null,
    2,
  ),
);
schedule.close();

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
