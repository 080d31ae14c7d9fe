import assert from "node:assert/strict";
import { test } from "node:test";
import { mutate, MUTANTS } from "./mutants.js";

test("every mutant still finds what it replaces in the core", () => {
  const stale = MUTANTS.filter((mutant) => mutate(mutant) === null).map(({ name }) => name);

  assert.deepEqual(stale, []);
});

test("every mutant changes something, and is told apart by its name", () => {
  assert.deepEqual(
    MUTANTS.filter(({ from, to }) => from === to),
    [],
  );
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
});
