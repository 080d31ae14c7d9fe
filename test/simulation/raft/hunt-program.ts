/**
 * Runs seeds until one breaks a rule: node --import tsx test/simulation/raft/hunt-program.ts MODE FROM TO
 * Prints one line of JSON: what was found, or the totals. Exit 1 when something was found.
 */
import { performance } from "node:perf_hooks";
import { run, SimulationFailure } from "./run.js";
import type { Mode } from "./run.js";

const [mode = "", from = "1", to = "1"] = process.argv.slice(2);
if (mode !== "safety" && mode !== "liveness") {
  process.stderr.write("Usage: hunt-program safety|liveness FROM TO\n");
  process.exitCode = 2;
} else process.exitCode = hunt(mode, Number(from), Number(to));

function hunt(chosen: Mode, first: number, last: number): number {
  const totals = { seeds: 0, operations: 0, acknowledged: 0, committed: 0, terms: 0 };
  const startedMs = performance.now();
  for (let seed = first; seed <= last; seed++) {
    try {
      const report = run(chosen, seed);
      totals.seeds++;
      totals.operations += report.operations;
      totals.acknowledged += report.acknowledged;
      totals.committed += report.committed;
      totals.terms += report.terms;
    } catch (thrown) {
      if (!(thrown instanceof SimulationFailure)) throw thrown;
      process.stdout.write(`${JSON.stringify({ found: thrown.rule, seed, text: thrown.message })}\n`);
      return 1;
    }
  }
  const ms = Math.round(performance.now() - startedMs);
  process.stdout.write(`${JSON.stringify({ found: null, mode: chosen, ...totals, ms })}\n`);
  return 0;
}
