import assert from "node:assert/strict";
import { test } from "node:test";
import type { ActionConfig } from "../../common/config/model.js";
import { OUTPUT_TAIL_BYTES, runShell } from "./shell.js";

const action = (wish: Partial<ActionConfig>): ActionConfig => ({
  type: "shell",
  commands: ["true"],
  cwd: null,
  env: {},
  inheritEnv: false,
  timeoutMs: 5_000,
  user: null,
  retries: 0,
  ...wish,
});
const run = (wish: Partial<ActionConfig>) =>
  runShell(action(wish), {
    env: { PATH: process.env["PATH"] ?? "" },
    input: "",
    signal: new AbortController().signal,
  });

test("an action whose directory is missing says so, and does not blame the shell", async () => {
  const { isSuccess, error } = await run({ cwd: "/nowhere/at/all" });

  assert.equal(isSuccess, false);
  assert.match(error, /Cannot run in cwd "\/nowhere\/at\/all": there is no such directory/);
});

test("a command that floods its output and ignores SIGTERM is ended, and the end of its output kept", async () => {
  const startedMs = performance.now();
  const { isSuccess, error, outputTail } = await run({
    commands: ['trap "" TERM; yes | head -c 50000000; exec sleep 1000'],
    timeoutMs: 1_000,
  });

  assert.equal(isSuccess, false);
  assert.match(error, /was stopped: the action's timeout of 1000 ms has passed/);
  assert.ok(outputTail.length > 0 && outputTail.length <= OUTPUT_TAIL_BYTES);
  assert.ok(performance.now() - startedMs < 15_000);
});

test("a command that leaves a daemon behind ends when it ends itself", async () => {
  const startedMs = performance.now();
  const { isSuccess } = await run({ commands: ["sleep 20 & exit 0"] });

  assert.equal(isSuccess, true);
  assert.ok(performance.now() - startedMs < 4_000);
});
