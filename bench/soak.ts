/**
 * Healthy services on a host whose CPUs are taken: how often is one wrongly called a failure?
 * Run: node --import tsx bench/soak.ts [--checks 200] [--seconds 600] [--hogs 2] [--json]; an hour: --seconds 3600.
 * The programs come from dist/: `npm run build` first.
 */
import { readOptions, rounded } from "./support/figures.js";
import { soak } from "./support/false-failures.js";
import { loadAverage } from "./support/process-usage.js";

const { numbers, isJson } = readOptions(process.argv.slice(2), { checks: 200, seconds: 600, hogs: 2 });

const result = await soak({
  checks: numbers.checks,
  durationMs: numbers.seconds * 1_000,
  hogs: numbers.hogs,
  onSecond: (line) => process.stderr.isTTY && process.stderr.write(`\r${line} `),
});
const summary = {
  ...numbers,
  falseFailures: result.falseFailures.length,
  runs: result.runs,
  // Of no event in so many node hours, the rate is below 3 / hours with 95 % confidence.
  nodeHours: rounded((numbers.checks * numbers.seconds) / 3_600),
  tainted: result.tainted,
  selfDoubtMax: result.selfDoubtMax,
  latenessP99MaxMs: rounded(result.latenessP99MaxMs),
  load: loadAverage(),
};
for (const line of result.falseFailures) process.stderr.write(`${line}\n`);
const words = Object.entries(summary).map(([name, value]) => `${name} ${value}`);
process.stdout.write(isJson ? `${JSON.stringify(summary, null, 2)}\n` : `${words.join(", ")}\n`);
process.exitCode = result.falseFailures.length > 0 ? 1 : 0;
