import assert from "node:assert/strict";
import { test } from "node:test";

import { blocksOf } from "./markdown.js";
import { stepsOf } from "./steps.js";
import type { Step } from "./steps.js";

const steps = (...lines: readonly string[]): readonly Step[] => blocksOf(lines.join("\n")).flatMap(stepsOf);

test("a console block is commands with what they print, in order", () => {
  const found = steps("```console", "$ one \\", "  two", "out", "$ three  # exits with 3", "```");

  assert.deepEqual(
    found.map((step) => step.kind === "run" && [step.command, step.output, step.exitCode, step.lineNumber]),
    [
      ["one \\\n  two", ["out"], 0, 2],
      ["three  # exits with 3", [], 3, 5],
    ],
  );
});

test("npm start and marked blocks stay in the first terminal, and ^C ends them", () => {
  const found = steps("```console", "$ npm start", "```", "```console first-terminal", "^C", "$ duck", "```");

  assert.deepEqual(
    found.map((step) => (step.kind === "run" ? step.isInFirstTerminal : step.kind)),
    [true, "interrupt", true],
  );
});

test("a block that begins with the comment of a relative path is a file", () => {
  const [file] = steps("```sh", "#!/bin/sh", "# ~/a/b.sh", "echo", "```");

  assert.deepEqual(file, {
    kind: "write",
    path: "~/a/b.sh",
    text: "#!/bin/sh\n# ~/a/b.sh\necho\n",
    lineNumber: 1,
  });
  assert.deepEqual(steps("```yaml", "# /etc/a.yaml", "a: 1", "```", "```text", "$ sudo x", "```"), []);
});
