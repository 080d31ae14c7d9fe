/**
 * fast-check as all property tests use it: the same values in every run, so that a red build is red again,
 * and others on demand: SEED=7 chooses other values, RUNS=10000 tries more of them.
 */
import { relative } from "node:path";
import fc from "fast-check";
import type { RunDetails } from "fast-check";

const DEFAULT_SEED = 1;
const RUNS = fromEnvironment("RUNS", 1);
const SEED = fromEnvironment("SEED", 0) ?? DEFAULT_SEED;

fc.configureGlobal({ seed: SEED, reporter: throwWithCommand, ...runs(100) });

/** How often to try where 100 times, the default, are too few or take too long. */
export function runs(count: number): { readonly numRuns: number } {
  return { numRuns: RUNS ?? count };
}

function throwWithCommand(details: RunDetails<unknown>): void {
  if (!details.failed) return;
  const file = relative(process.cwd(), process.argv[1] ?? "FILE");
  const wanted = RUNS === null ? "" : `RUNS=${RUNS} `;
  throw new Error(
    `${fc.defaultReportMessage(details)}\n\nrepeat: SEED=${details.seed} ${wanted}node --import tsx --test ${file}`,
    { cause: details.errorInstance },
  );
}

/** Null: not set. @throws Error for what is no whole number of at least `min`, or beyond 32 bits. */
function fromEnvironment(name: string, min: number): number | null {
  const text = process.env[name] ?? "";
  if (text === "") return null;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= 0x7fff_ffff) return value;
  throw new Error(`Cannot use ${name}=${text}: expected a whole number from ${min} to ${0x7fff_ffff}`);
}

export { fc };
