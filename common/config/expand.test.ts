import assert from "node:assert/strict";
import { test } from "node:test";
import { belongsToShell, expandVariables } from "./expand.js";

const expand = (text: string) => expandVariables(text, { A: "one", EMPTY: "", LOOP: "${A}" });

test("expandVariables() knows plain, defaulted and escaped forms", () => {
  const expected: readonly (readonly [string, string])[] = [
    ["${A}", "one"],
    ["x${A}y${A}z", "xoneyonez"],
    ["${B:-two}", "two"],
    ["${B:-}", ""],
    ["${B-two words}", "two words"],
    ["${EMPTY:-two}", "two"],
    ["${EMPTY-two}", ""],
    ["$$", "$"],
    ["$${A}", "${A}"],
    ["$$$${A}", "$${A}"],
    ["$A $1 $ a$", "$A $1 $ a$"],
    ["${LOOP}", "${A}"],
  ];
  for (const [text, result] of expected) assert.deepEqual(expand(text), { text: result, problems: [] }, text);
});

test("expandVariables() names what is not set or not a variable", () => {
  assert.match(expand("${B} ${C}").problems.join("\n"), /variable B is not set[^]*variable C is not set/);
  assert.match(expand("${toString}").problems.join(), /toString is not set/);
  for (const text of ["${}", "${1}", "${A", "${A B}", "${A:+x}"]) {
    assert.match(expand(text).problems.join(), /is not a variable/, text);
  }
});

test("only what a shell or a program will read is left alone", () => {
  assert.ok(belongsToShell(["clusters", "a", "triggers", 0, "do", 1, "commands", 0]));
  assert.ok(belongsToShell(["a", "triggers", 0, "do", "commands"]));
  assert.ok(belongsToShell(["agent", "exec_checks", "x", "command", 2]));
  assert.ok(belongsToShell(["agent", "exec_checks", "x", 2]));
  assert.ok(belongsToShell(["balancers", "lb", "reload", "command"]));
  assert.ok(!belongsToShell(["clusters", "a", "triggers", 0, "do", 1, "cwd"]));
  assert.ok(!belongsToShell(["clusters", "triggers", "health_checks", 0, "commands", 0, 0]));
  assert.ok(!belongsToShell(["agent", "exec_checks", "x", "env", "A"]));
});
