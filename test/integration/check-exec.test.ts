import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Check } from "../../checks/check.js";
import { createExecCheck } from "../../checks/exec.js";
import { afterTwoTurns } from "../../checks/schedule/late-judge.js";
import type { Observation } from "../../common/model/observation.js";
import { atEnd, temporaryFolder } from "../support/at-end.js";
import { checkContext, runOnce, summary } from "../support/check-context.js";

function script(
  t: TestContext,
  text: string,
  extra: { user?: string; cwd?: string; env?: Record<string, string> } = {},
): Check {
  return command(t, ["/bin/sh", "-c", text], extra);
}

function command(
  t: TestContext,
  words: readonly string[],
  extra: { user?: string; cwd?: string; env?: Record<string, string> } = {},
) {
  const made = createExecCheck({
    ...checkContext({
      type: "exec",
      address: { kind: "tcp", host: "10.0.0.1", port: 6379 },
      options: { command: "probe" },
    }),
    execChecks: {
      probe: { command: words, cwd: extra.cwd ?? null, env: extra.env ?? {}, user: extra.user ?? null },
    },
  });
  atEnd(t, () => made.close());
  return made;
}

function detail(seen: Observation): string {
  return seen.outcome === "passed" ? "" : seen.detail;
}

async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  // A zombie that its new parent has not collected yet is dead.
  return stat !== null && !/^\d+ \(.*\) Z/.test(stat);
}

async function pidFrom(file: string): Promise<number> {
  const deadline = performance.now() + 5_000;
  while (performance.now() < deadline) {
    const text = await readFile(file, "utf8").catch(() => "");
    if (/^\d+\n$/.test(text)) return Number(text);
    await delay(5);
  }
  throw new Error(`No pid appeared in ${file}`);
}

async function temporary(t: TestContext): Promise<string> {
  return temporaryFolder(t, "duck-exec-");
}

test("exit 0 passes, 1 is degraded, anything else fails, with the end of the output", async (t) => {
  assert.equal(summary(await runOnce(script(t, "echo fine"))), "passed");
  const degraded = await runOnce(script(t, "echo slow; exit 1"));
  assert.deepEqual([summary(degraded), detail(degraded)], ["degraded/exitCode", "exit code 1: slow"]);
  const failed = await runOnce(script(t, "echo broken >&2; exit 7"));
  assert.deepEqual([summary(failed), detail(failed)], ["failed/exitCode", "exit code 7: broken"]);
  const killed = await runOnce(script(t, "kill -SEGV $$"));
  assert.deepEqual([summary(killed), detail(killed)], ["failed/exitCode", "ended by SIGSEGV"]);
});

test("the command sees the node and its own environment, and no other of this process's", async (t) => {
  process.env.DUCK_TEST_TOKEN = "hidden";
  atEnd(t, () => delete process.env.DUCK_TEST_TOKEN);
  const made = script(t, 'echo "$CLUSTER $ADDR $HOST $PORT $MINE [$DUCK_TEST_TOKEN]"; exit 2', {
    env: { MINE: "yes" },
  });

  assert.equal(detail(await runOnce(made)), "exit code 2: web 10.0.0.1:6379 10.0.0.1 6379 yes []");
});

test("all of an endless output is read, and only its end is kept", async (t) => {
  const seen = await runOnce(script(t, "head -c 2000000 /dev/zero | tr '\\0' x; echo the end; exit 2"));

  assert.equal(summary(seen), "failed/exitCode");
  assert.match(detail(seen), /the end$/);
  assert.ok(detail(seen).length < 5_000, `kept ${detail(seen).length} characters`);
});

test("at the time limit the run settles at once and the whole process group ends, even if it ignores SIGTERM", async (t) => {
  const dir = await temporary(t);
  const made = script(
    t,
    `trap '' TERM; (trap '' TERM; sh -c 'echo $PPID > ${dir}/pid'; while :; do sleep 0.1; done) & wait`,
  );

  const seen = await runOnce(made, 300);
  const pid = await pidFrom(join(dir, "pid"));

  assert.equal(summary(seen), "failed/timedOut");
  assert.ok(seen.latencyMs < 600, `took ${seen.latencyMs} ms`);
  const deadline = performance.now() + 5_000;
  while ((await isAlive(pid)) && performance.now() < deadline) await delay(20);
  assert.equal(await isAlive(pid), false);
});

test("a daemon that the command leaves behind with its output open does not hold the run", async (t) => {
  const dir = await temporary(t);
  const seen = await runOnce(script(t, `sleep 30 & echo $! > ${dir}/pid; exit 0`));
  process.kill(await pidFrom(join(dir, "pid")), "SIGKILL");

  assert.equal(summary(seen), "passed");
  assert.ok(seen.latencyMs < 1_000, `took ${seen.latencyMs} ms`);
});

test(
  "a command that ended while we did not run is no timeout, whoever still holds its output open",
  { skip: process.platform !== "linux" },
  async (t) => {
    for (const rest of ["echo out; echo err >&2", "sleep 30 & echo $! > $DIR/daemon"]) {
      const DIR = await temporary(t);
      const abort = new AbortController();
      const waiting = `echo $$ > $DIR/pid; while [ ! -e $DIR/go ]; do sleep 0.01; done`;
      const seen = script(t, `${waiting}; ${rest}`, { env: { DIR } }).run(abort.signal);
      const pid = await pidFrom(join(DIR, "pid"));

      writeFileSync(join(DIR, "go"), "");
      stallUntilEnded(pid);
      // Its timeout has passed meanwhile: this is when the schedule believes one.
      afterTwoTurns(() => abort.abort());

      assert.equal(summary(await seen), "passed", rest);
      if (rest.includes("daemon")) process.kill(await pidFrom(join(DIR, "daemon")), "SIGKILL");
    }
  },
);

/** Waits for the end of a child of ours while our event loop, which would collect it, does not run. */
function stallUntilEnded(pid: number): void {
  const isZombie = (): boolean => /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  const deadline = performance.now() + 5_000;
  let hasEnded = false;
  while (!hasEnded && performance.now() < deadline) {
    hasEnded = isZombie();
    // The signal that tells us of it may be a moment behind.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
}

test("what cannot be started is inconclusive and says why", async (t) => {
  const missing = await runOnce(command(t, ["/no/such/program"]));
  assert.equal(summary(missing), "inconclusive/internal");
  assert.match(detail(missing), /ENOENT/);
  assert.equal(
    summary(await runOnce(command(t, ["/bin/true"], { user: "no-such-user" }))),
    "inconclusive/internal",
  );
});

test("a name that this host does not allow is inconclusive, and so is one of Object's own", async (t) => {
  for (const name of ["other", "constructor", "toString"]) {
    const made = createExecCheck({
      ...checkContext({
        type: "exec",
        address: { kind: "tcp", host: "10.0.0.1", port: 1 },
        options: { command: name },
      }),
      execChecks: { probe: { command: ["/bin/true"], cwd: null, env: {}, user: null } },
    });
    atEnd(t, () => made.close());

    const seen = await runOnce(made);

    assert.equal(summary(seen), "inconclusive/internal");
    assert.match(detail(seen), /it allows probe/);
  }
});

test("close() ends a running command", async (t) => {
  const dir = await temporary(t);
  const made = script(t, `echo $$ > ${dir}/pid; exec sleep 30`);
  const seen = made.run(new AbortController().signal);
  const pid = await pidFrom(join(dir, "pid"));

  made.close();

  assert.equal((await seen).outcome, "failed");
  const deadline = performance.now() + 5_000;
  while ((await isAlive(pid)) && performance.now() < deadline) await delay(20);
  assert.equal(await isAlive(pid), false);
});
