import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { runCommand } from "./run-command.js";
import type { CommandRequest } from "./run-command.js";

const folder = mkdtempSync(join(tmpdir(), "clusterduck-run-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function shell(command: string, more: Partial<CommandRequest> = {}): CommandRequest {
  return {
    file: "/bin/sh",
    args: ["-c", command],
    env: { PATH: process.env["PATH"] ?? "" },
    timeoutMs: 10_000,
    outputBytes: 1_000,
    ...more,
  };
}

test("runCommand() tells the exit code and both outputs", async () => {
  const outcome = await runCommand(shell("echo out; echo err >&2; exit 3"));

  assert.equal(outcome.kind === "exited" && outcome.code, 3);
  assert.match(outcome.output, /out/);
  assert.match(outcome.output, /err/);
});

test("runCommand() hands over the input and the environment", async () => {
  const outcome = await runCommand(
    shell('read line; echo "$line $WORD"', { input: "hello\n", env: { WORD: "duck" } }),
  );

  assert.equal(outcome.output, "hello duck\n");
});

test("runCommand() does not mind a command that ignores its input", async () => {
  const outcome = await runCommand(shell("exec 0<&-; exit 0", { input: "x".repeat(1_000_000) }));

  assert.equal(outcome.kind, "exited");
});

test("runCommand() keeps the end of an output of any length in bounded memory", async () => {
  const outcome = await runCommand(shell("yes duck | head -c 3000000; echo last"));

  assert.ok(outcome.output.length <= 1_010, `${outcome.output.length} characters`);
  assert.match(outcome.output, /^\[\.\.\.\]\n/);
  assert.match(outcome.output, /last\n$/);
});

test("runCommand() ends the whole process group when the time is over, even one that ignores SIGTERM", async () => {
  const file = join(folder, "child");
  const command = `trap '' TERM; sh -c 'trap "" TERM; echo $$ > ${file}; while :; do sleep 0.05; done' & while [ ! -s ${file} ]; do sleep 0.01; done; wait; wait`;

  const outcome = await runCommand(shell(command, { timeoutMs: 400, killAfterMs: 100 }));

  assert.equal(outcome.kind, "timedOut");
  const child = readFileSync(file, "utf8").trim();
  const state = existsSync(`/proc/${child}/stat`) ? readFileSync(`/proc/${child}/stat`, "utf8") : "gone";
  assert.match(state, /^gone$|\) Z /);
});

test("runCommand() ends when its signal aborts", async () => {
  const abort = new AbortController();
  const running = runCommand(shell("sleep 30", { signal: abort.signal }));

  abort.abort();

  assert.equal((await running).kind, "aborted");
});

test("runCommand() does not wait for a daemon that the command left behind with its output open", async () => {
  const startedAtMs = performance.now();

  const outcome = await runCommand(shell("sleep 20 & echo $!"));

  process.kill(Number(outcome.output.trim()), "SIGKILL");
  assert.equal(outcome.kind, "exited");
  assert.ok(performance.now() - startedAtMs < 10_000);
});

test(
  "runCommand() that is told to end while only the output is awaited tells how the command had ended",
  { skip: process.platform !== "linux" },
  async () => {
    const abort = new AbortController();
    let pid = 0;
    const running = runCommand(
      shell("sleep 20 & echo $!; exit 3", { signal: abort.signal, onStarted: (started) => (pid = started) }),
    );
    // Gone from /proc: we have been told of its exit.
    while (existsSync(`/proc/${pid}`)) await turn();

    abort.abort();
    const outcome = await running;

    assert.equal(outcome.kind === "exited" && outcome.code, 3);
    // What it left behind is left alone, as it is when nobody aborts.
    assert.ok(process.kill(Number(outcome.output.trim()), "SIGKILL"));
  },
);

test("runCommand() says why it could not start", async () => {
  const missing = await runCommand(shell("", { file: join(folder, "missing") }));
  const nowhere = await runCommand(shell("true", { cwd: join(folder, "nowhere") }));

  assert.ok(missing.kind === "notStarted" && /missing ENOENT$/.test(missing.error));
  assert.ok(nowhere.kind === "notStarted");
  assert.equal(nowhere.error, `its working directory "${join(folder, "nowhere")}" does not exist`);
});
