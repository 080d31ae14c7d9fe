import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "duck-properties-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A property that fails for half of all numbers, and says which ones it was asked about. */
function runFailing(env: Readonly<Record<string, string>> = {}): { text: string; seen: string } {
  const file = join(folder, "failing.mts");
  writeFileSync(
    file,
    `import { fc, runs } from "${ROOT}test/support/properties.ts";
const seen: number[] = [];
try {
  fc.assert(fc.property(fc.nat(), (value) => void seen.push(value)), runs(3));
  fc.assert(fc.property(fc.nat(), (value) => value < 1_000_000_000));
} finally {
  console.log(seen.join(" "));
}
`,
  );
  const clean = { ...process.env, SEED: "", RUNS: "", ...env };
  const result = spawnSync(process.execPath, ["--import", "tsx", file], { cwd: ROOT, env: clean });
  return { text: String(result.stderr), seen: String(result.stdout).trim() };
}

test("a property meets the same values in every run, and others with SEED and RUNS", () => {
  const one = runFailing();
  const again = runFailing();
  const other = runFailing({ SEED: "7", RUNS: "50" });

  assert.equal(one.seen, again.seen);
  assert.equal(one.seen.split(" ").length, 3);
  assert.equal(other.seen.split(" ").length, 50);
  assert.ok(!other.seen.startsWith(one.seen));
});

test("a property that fails says which command repeats it", () => {
  const { text } = runFailing({ SEED: "7", RUNS: "200" });

  assert.match(text, /Counterexample: \[1000000000\]/);
  assert.match(text, /repeat: SEED=7 RUNS=200 node --import tsx --test \S+failing\.mts/);
});

test("a seed that is no number is refused", () => {
  assert.match(runFailing({ SEED: "x" }).text, /Cannot use SEED=x: expected a whole number from 0/);
});

test("no property test goes round the common seed", () => {
  const folders = ["agent", "appliers", "checks", "cli", "common", "coordinator", "test"];
  const files = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((file) => join(folder, file)),
  );
  const direct = files.filter(
    (file) =>
      file.endsWith(".test.ts") && /from ["']fast-check["']/.test(readFileSync(join(ROOT, file), "utf8")),
  );

  assert.deepEqual(direct, []);
});
