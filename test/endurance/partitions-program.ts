/**
 * Five coordinators in network namespaces of their own under faults for as long as you like, as root:
 * SEED=7 SECONDS=600 node --import tsx test/endurance/partitions-program.ts
 * Prints the seed and each fault as it strikes, then one line of JSON. HISTORY=FILE keeps what the clients saw,
 * for other checkers. Exit 1: something was found; 2: there can be no namespaces here.
 */
import { namespacesProblem } from "../support/netns.js";
import { runUnderFaults, RunFailure } from "./run.js";

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1_000_000));
const seconds = Number(process.env["SECONDS"] ?? "600");

process.exitCode = await main();

async function main(): Promise<number> {
  const problem = await namespacesProblem();
  if (problem !== null) {
    process.stderr.write(`Cannot run: ${problem}\n`);
    return 2;
  }
  process.stdout.write(`SEED=${seed} SECONDS=${seconds}\n`);
  try {
    const report = await runUnderFaults({
      seed,
      durationMs: seconds * 1000,
      tell: (line) => process.stdout.write(`${line}\n`),
      historyFile: process.env["HISTORY"],
    });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return 0;
  } catch (thrown) {
    if (!(thrown instanceof RunFailure)) throw thrown;
    process.stdout.write(`found: ${thrown.message}\n`);
    return 1;
  }
}
