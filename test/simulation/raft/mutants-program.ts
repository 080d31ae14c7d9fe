/**
 * Shows that the simulation can see: puts known bugs into a copy of the core, one at a time, and runs seeds
 * until one notices. A line for each: `caught` with seed and rule, or `survived`.
 * Usage: npm run mutants [-- WORD ...]; a mutant whose name holds one of the words is run.
 * Exit 1 when one survives. MUTANT_SEEDS: seeds to try, default 400.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MUTANTS } from "./mutants.js";
import type { Mutant } from "./mutants.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const CORE = "coordinator/raft";
const HUNT = "test/simulation/raft/hunt-program.ts";
/** Whatever the simulation imports, and what says how to run it. */
const COPIED = [
  CORE,
  "coordinator/log/transport",
  "common",
  "proto",
  "test/simulation",
  "test/support",
  "package.json",
  "tsconfig.json",
];
const SEEDS = Number(process.env["MUTANT_SEEDS"] ?? "400");

const SOURCES = readdirSync(join(ROOT, CORE))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => ({ file, text: readFileSync(join(ROOT, CORE, file), "utf8") }));

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
    const { name, mode } = mutant;
    const source = mutated(mutant);
    if (source === null) {
      stale.push(name);
      process.stdout.write(`stale     ${name}: what it replaces is not in the core exactly once\n`);
      continue;
    }
    const found = await hunt(mutant, source);
    if (found === null) survivors.push(name);
    process.stdout.write(
      found === null
        ? `survived  ${name}  ${SEEDS} seeds\n`
        : `caught    ${name}  ${mode} seed ${found.seed}  ${found.found}\n`,
    );
  }
}

type Source = { readonly file: string; readonly text: string };

/** Null when the text to replace is not there exactly once: the core has changed, and the mutant must too. */
function mutated({ from, to }: Mutant): Source | null {
  const [place, ...others] = SOURCES.filter(({ text }) => text.includes(from));
  if (place === undefined || others.length > 0 || place.text.split(from).length !== 2) return null;
  return { file: place.file, text: place.text.replace(from, () => to) };
}

type Found = { readonly seed: number; readonly found: string };

async function hunt(mutant: Mutant, { file, text }: Source): Promise<Found | null> {
  const folder = mkdtempSync(join(tmpdir(), "duck-mutant-"));
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, CORE, file), text);
    const line = JSON.parse(await output(folder, mutant)) as { found: string | null; seed?: number };
    return line.found === null ? null : { found: line.found, seed: line.seed ?? 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function output(cwd: string, { mode, name }: Mutant): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", HUNT, mode, "1", String(SEEDS)], {
      cwd,
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
      else reject(new Error(`Mutant "${name}" did not run: ${Buffer.concat(errors).toString()}`));
    });
  });
}
