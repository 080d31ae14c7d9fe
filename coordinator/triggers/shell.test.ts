import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../common/clock.js";
import type { Clock } from "../../common/clock.js";
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
const run = (wish: Partial<ActionConfig>, clock: Clock = systemClock) =>
  runShell(action(wish), {
    clock,
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

test("the time limit covers all commands together and counts by the clock that is given", async () => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => (nowMs += 40_000) };

  const { isSuccess, error } = await run({ commands: ["true", "sleep 30"], timeoutMs: 60_000 }, clock);

  assert.equal(isSuccess, false);
  assert.match(error, /Command "sleep 30" was stopped: the action's timeout of 60000 ms has passed/);
});
