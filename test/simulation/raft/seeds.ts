import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import type { TestContext } from "node:test";
import { run } from "./run.js";
import type { Mode } from "./run.js";

/** `SEEDS` says how many; `SEED` names one, which is run with all its events printed. */
export function runSeeds(context: TestContext, mode: Mode, usual: number): void {
  const one = process.env["SEED"];
  if (one !== undefined) {
    run(mode, Number(one), (line) => process.stdout.write(`${line}\n`));
    return;
  }
  const startedMs = performance.now();
  const totals = { seeds: Number(process.env["SEEDS"] ?? usual), acknowledged: 0, committed: 0, terms: 0 };
  for (let seed = 1; seed <= totals.seeds; seed++) {
    const report = run(mode, seed);
    totals.acknowledged += report.acknowledged;
    totals.committed += report.committed;
    totals.terms += report.terms;
  }
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  context.diagnostic(`${JSON.stringify(totals)} in ${seconds} s, ${availableParallelism()} processors`);
}
