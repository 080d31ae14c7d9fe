/**
 * The whole of the checks: types, lint, format, dead code, contract, then every test. Prints the totals last.
 * Usage: node scripts/test.mjs [--only-tests] [FILE ...]
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const SKIPPED_FOLDERS = new Set(["node_modules", "dist", ".git", ".clusterduck", "gen"]);

/** Each is one command that prints nothing when all is well. */
const CHECKS = {
  types: ["tsc", "-p", "."],
  lint: ["eslint", "--max-warnings=0", "."],
  format: ["prettier", "--check", "--log-level=warn", "."],
  "dead code": ["knip", "--no-progress"],
  "proto lint": ["buf", "lint"],
  package: ["publint", "--strict"],
};

const args = process.argv.slice(2);
const isOnlyTests = args.includes("--only-tests");
const named = args.filter((argument) => !argument.startsWith("--"));

let failedChecks = 0;
if (!isOnlyTests && named.length === 0) failedChecks = await runChecks();
const totals = await runTests(named.length > 0 ? named : testFiles(root));
process.stdout.write(
  `\n${totals.pass + (isOnlyTests ? 0 : Object.keys(CHECKS).length - failedChecks)} passed, ` +
    `${totals.fail + failedChecks} failed, ${totals.skipped} skipped\n`,
);
process.exitCode = totals.fail + failedChecks > 0 || totals.exitCode !== 0 || totals.pass === 0 ? 1 : 0;

async function runChecks() {
  let failed = 0;
  for (const [name, command] of Object.entries(CHECKS)) {
    const startedAt = performance.now();
    const { code, output } = await collect(join(root, "node_modules", ".bin", command[0]), command.slice(1));
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    process.stdout.write(
      `${code === 0 ? "ok" : "FAILED"}  ${name} (${seconds} s)\n${code === 0 ? "" : output}`,
    );
    if (code !== 0) failed += 1;
  }
  return failed;
}

/** One process per file, two at a time: integration tests start servers, and two cores are the norm. */
async function runTests(files) {
  const { code, output } = await collect(
    process.execPath,
    ["--import", "tsx", "--test", "--test-concurrency=2", "--test-reporter=spec", ...files],
    process.stdout,
  );
  const total = (word) => Number(new RegExp(`^(?:ℹ|#) ${word} (\\d+)`, "m").exec(output)?.[1] ?? 0);
  return {
    pass: total("pass"),
    fail: total("fail") + total("cancelled"),
    skipped: total("skipped") + total("todo"),
    exitCode: code,
  };
}

function testFiles(folder) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !SKIPPED_FOLDERS.has(entry.name)) found.push(...testFiles(path));
    else if (entry.isFile() && entry.name.endsWith(".test.ts")) found.push(relative(root, path));
  }
  return found.sort();
}

function collect(program, programArgs, echo) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, programArgs, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        chunks.push(chunk);
        echo?.write(chunk);
      });
    }
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output: Buffer.concat(chunks).toString() }));
  });
}
