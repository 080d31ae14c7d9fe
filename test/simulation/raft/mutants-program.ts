/**
 * Shows that the simulation can see: puts known bugs into a copy of the core, one at a time, and runs seeds
 * until one notices. A line for each: `caught` with seed and rule, or `survived`.
 * Usage: npm run mutants [-- WORD ...]; a mutant whose name holds one of the words is run.
 * Exit 1 when one survives. MUTANT_SEEDS: seeds to try, default 400.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mutate, MUTANTS } from "./mutants.js";
import type { Mutant, MutatedSource } from "./mutants.js";
import type { Mode } from "./run.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const SCENARIOS = ["elections.test.ts", "replication.test.ts", "members.test.ts"];
const HUNT = "test/simulation/raft/hunt-program.ts";
/** Whatever the simulation imports, and what says how to run it. */
const COPIED = [
  "coordinator",
  "common",
  "proto",
  "test/simulation",
  "test/support",
  "package.json",
  "tsconfig.json",
];
const SEEDS = Number(process.env["MUTANT_SEEDS"] ?? "400");

const words = process.argv.slice(2);
const chosen = MUTANTS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
/** Neither is a proof of anything, so both fail the run. */
const survivors: string[] = [];
const stale: string[] = [];
const queue = [...chosen];
await Promise.all(Array.from({ length: availableParallelism() }, work));
const caught = chosen.length - survivors.length - stale.length;
process.stdout.write(`${caught} of ${chosen.length} caught\n`);
process.exitCode = caught === chosen.length && caught > 0 ? 0 : 1;

async function work(): Promise<void> {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const { name } = mutant;
    const source = mutate(mutant);
    if (source === null) {
      stale.push(name);
      process.stdout.write(`stale     ${name}: what it replaces is not in the core exactly once\n`);
      continue;
    }
    const found = await hunt(mutant, source);
    if (found === null) survivors.push(name);
    process.stdout.write(
      found === null
        ? `survived  ${name}  ${mutant.mode === "scenarios" ? "its scenario" : `${SEEDS} seeds`}\n`
        : `caught    ${name}  ${found.where}  ${found.rule}\n`,
    );
  }
}

type Found = { readonly where: string; readonly rule: string };

async function hunt({ mode, name }: Mutant, source: MutatedSource): Promise<Found | null> {
  if (mode !== "scenarios") return inCopy(source, (folder) => simulate(folder, mode));
  // A scenario that fails by itself notices nothing.
  if ((await play(ROOT, name)) !== null) throw new Error(`The scenario of "${name}" fails by itself`);
  return inCopy(source, (folder) => play(folder, name));
}

async function inCopy<T>({ file, text }: MutatedSource, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "duck-mutant-"));
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, file), text);
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function simulate(folder: string, mode: Mode): Promise<Found | null> {
  const line = JSON.parse(await output(folder, [HUNT, mode, "1", String(SEEDS)])) as {
    readonly found: string | null;
    readonly seed?: number;
  };
  return line.found === null ? null : { where: `${mode} seed ${line.seed}`, rule: line.found };
}

/** The scenario that bears the mutant's name has to fail. */
async function play(folder: string, name: string): Promise<Found | null> {
  const [bug = ""] = name.split(":");
  const files = SCENARIOS.map((file) => `test/simulation/raft/scenarios/${file}`);
  const report = await output(folder, [
    "--test",
    "--test-reporter=tap",
    `--test-name-pattern=^${bug}:`,
    ...files,
  ]);
  const failed = /^not ok \d+ - (.*)$/m.exec(report)?.[1];
  return failed === undefined ? null : { where: "its scenario", rule: failed };
}

/** @throws Error when the program could not run: what it prints is then no finding. */
function output(cwd: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    // Tests that run inside of a test would report to that one instead of printing.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, ["--import", "tsx", ...args], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const out: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
    child.on("error", reject);
    child.on("close", () => {
      const text = Buffer.concat(out).toString();
      if (text !== "") resolve(text);
      else reject(new Error(`A mutant did not run: ${Buffer.concat(errors).toString()}`));
    });
  });
}
