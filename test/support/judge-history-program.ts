/**
 * Judges a history of client operations: node --import tsx test/support/judge-history-program.ts FILE
 * Exit 0: linearizable; 1: not, or too hard to say; 2: the file is no history.
 */
import { readFileSync } from "node:fs";
import { judge } from "./linearizability/checker.js";
import { formatHistory, parseHistory } from "./linearizability/history.js";

const [file] = process.argv.slice(2);
process.exitCode = file === undefined ? usage() : run(file);

function usage(): number {
  process.stderr.write("Usage: node --import tsx test/support/judge-history-program.ts FILE\n");
  return 2;
}

function run(path: string): number {
  let history;
  try {
    history = parseHistory(readFileSync(path, "utf8"));
  } catch (thrown) {
    process.stderr.write(
      `Cannot judge "${path}": ${thrown instanceof Error ? thrown.message : String(thrown)}\n`,
    );
    return 2;
  }
  const judgement = judge(history);
  switch (judgement.kind) {
    case "linearizable":
      process.stdout.write(`linearizable: ${history.length} operations\n`);
      return 0;
    case "notLinearizable":
      process.stdout.write(
        `not linearizable: key "${judgement.key}"; no order holds\n${formatHistory([judgement.stuckAt])}` +
          `after these ${judgement.order.length}, of which the last:\n${formatHistory(judgement.order.slice(-10))}`,
      );
      return 1;
    case "tooHard":
      process.stdout.write(`too hard: key "${judgement.key}", gave up after ${judgement.steps} steps\n`);
      return 1;
  }
}
