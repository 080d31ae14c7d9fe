import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { startTestTier } from "../support/test-tier.js";
import type { TestTier } from "../support/test-tier.js";

type Run = {
  readonly id: string;
  readonly event: string;
  readonly outcome: string;
  readonly exitCode: number | null;
  readonly signal: string;
  readonly outputTail: string;
  readonly error: string;
  readonly attempts: number;
  readonly startedAt: string;
};

/** A cluster without checks: adding a node is an event at once, whatever the machine's load. */
async function tierWith(
  t: TestContext,
  trigger: string,
  env: Record<string, string> = {},
): Promise<TestTier> {
  const tier = await startTestTier({
    yaml: `
clusters:
  web:
    type: tcp
    pass_without_checks: true
    nodes: []
    triggers:
      - ${trigger}
`,
    env: { PATH: process.env["PATH"], ...env },
  });
  t.after(() => tier.stop());
  return tier;
}

async function runsWhen(tier: TestTier, isDone: (runs: readonly Run[]) => boolean): Promise<readonly Run[]> {
  const read = (out: string): readonly Run[] => JSON.parse(out) as Run[];
  const args = ["triggers", "runs", "web", "-o", "json"];
  return read((await tier.eventually(args, ({ out }) => isDone(read(out)))).out);
}

const hasEnded = (run: Run | undefined): boolean => run?.outcome === "succeeded" || run?.outcome === "failed";

test("a run records exit code and the end of its output, and duckctl shows both", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [active], do: [{type: shell, commands: ["seq 1 9000; echo last words; exit 3"]}]}`,
  );

  await tier.duckctl("nodes", "add", "web", "10.0.0.1:80");
  const [run] = await runsWhen(tier, ([newest]) => hasEnded(newest));
  const table = await tier.duckctl("triggers", "runs");
  const status = await tier.duckctl("status");

  assert.deepEqual([run?.outcome, run?.exitCode, run?.attempts, run?.event], ["failed", 3, 1, "active"]);
  assert.match(run?.outputTail ?? "", /9000\nlast words\n$/);
  assert.ok((run?.outputTail.length ?? 0) <= 4_096 + "[...]\n".length, `${run?.outputTail.length}`);
  assert.match(table.out, /failed +3 +\d+s +Command "seq 1 9000.*exited with code 3\n$/);
  assert.match(status.out, /warning: trigger web\/t: Run .* failed: Command/);
});

test("a run gets the seed's variables, its own env, and the whole event on standard input", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [active], env: {A: trigger, B: trigger}, do: [{type: shell, cwd: FOLDER, env: {A: action}, commands:
        ['env > env.txt', 'cat > event.json']}]}`,
    { SECRET: "of the coordinator" },
  );

  await tier.duckctl("nodes", "add", "web", "10.0.0.1:80");
  await tier.duckctl("nodes", "add", "web", "10.0.0.2:80");
  await runsWhen(tier, (runs) => runs.length === 2 && runs.every(hasEnded));

  const env = readFileSync(join(tier.folder, "env.txt"), "utf8").split("\n");
  const event = JSON.parse(readFileSync(join(tier.folder, "event.json"), "utf8")) as Record<string, unknown>;
  for (const line of [
    "CLUSTER=web",
    'nodes_active_addrs=["10.0.0.1:80","10.0.0.2:80"]',
    "nodes_active_count=2",
    "A=action",
    "B=trigger",
  ]) {
    assert.ok(env.includes(line), `${line} in ${env.join(" ")}`);
  }
  assert.ok(!env.some((line) => line.startsWith("SECRET=")));
  assert.equal(event["type"], "active");
  assert.deepEqual(event["activeAddrs"], ["10.0.0.1:80", "10.0.0.2:80"]);
});

test("inherit_env passes on the coordinator's environment", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [active], do: [{type: shell, inherit_env: true, commands: ['echo "it is $WORD"']}]}`,
    { WORD: "duck" },
  );

  await tier.duckctl("nodes", "add", "web", "10.0.0.1:80");
  const [run] = await runsWhen(tier, ([newest]) => hasEnded(newest));

  assert.equal(run?.outputTail, "it is duck\n");
});

test("a command that outlives its timeout is ended with all its children, and says so", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [active], do: [{type: shell, cwd: FOLDER, timeout: 500ms, commands:
        ['echo begun; sleep 60 & echo $! > child; wait', 'touch never']}]}`,
  );

  await tier.duckctl("nodes", "add", "web", "10.0.0.1:80");
  const [run] = await runsWhen(tier, ([newest]) => hasEnded(newest));

  assert.deepEqual([run?.outcome, run?.exitCode, run?.outputTail], ["failed", null, "begun\n"]);
  assert.match(run?.error ?? "", /timeout of 500 ms has passed/);
  assert.ok(!existsSync(join(tier.folder, "never")));
  const child = readFileSync(join(tier.folder, "child"), "utf8").trim();
  const state = existsSync(`/proc/${child}/stat`) ? readFileSync(`/proc/${child}/stat`, "utf8") : "gone";
  assert.match(state, /^gone$|\) Z /);
});

test("a failed run is tried again as often as retries say, and then counts by its last attempt", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [active], do: [{type: shell, cwd: FOLDER, retries: 2, commands:
        ['echo x >> attempts; test "$(wc -l < attempts)" -ge 2']}]}`,
  );

  await tier.duckctl("nodes", "add", "web", "10.0.0.1:80");
  const runs = await runsWhen(tier, ([newest]) => hasEnded(newest));

  assert.deepEqual(
    runs.map(({ outcome, attempts, exitCode }) => ({ outcome, attempts, exitCode })),
    [{ outcome: "succeeded", attempts: 2, exitCode: 0 }],
  );
});

test("a throttled trigger joins the events in between into one run with the newest state", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [nodes], throttle: 1500ms, do: [{type: shell, cwd: FOLDER, commands: ['echo $nodes_count >> counts']}]}`,
  );

  for (const at of [1, 2, 3, 4]) await tier.duckctl("nodes", "add", "web", `10.0.0.${at}:80`);
  const runs = await runsWhen(tier, (all) => all.length >= 2 && all.every(hasEnded));

  const counts = readFileSync(join(tier.folder, "counts"), "utf8").trim().split("\n");
  assert.equal(counts.at(-1), "4");
  assert.ok(runs.length < 4, `${runs.length} runs`);
  const [second, first] = runs.map((run) => Date.parse(run.startedAt));
  assert.ok((second ?? 0) - (first ?? 0) >= 1_500);
});

test("the runs of one trigger go in the order of their events, one after the other", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [nodes], do: [{type: shell, cwd: FOLDER, commands:
        ['mkdir lock && echo "$nodes_count" >> order && sleep 0.05 && rmdir lock']}]}`,
  );

  await Promise.all([1, 2, 3, 4, 5].map((at) => tier.duckctl("nodes", "add", "web", `10.0.0.${at}:80`)));
  const runs = await runsWhen(tier, (all) => all.length === 5 && all.every(hasEnded));

  assert.deepEqual(
    runs.map((run) => run.outcome),
    Array<string>(5).fill("succeeded"),
  );
  assert.equal(readFileSync(join(tier.folder, "order"), "utf8"), "1\n2\n3\n4\n5\n");
});

test("a run as another user has that user's rights, and an unknown user fails it with a word", async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip("only root may change users");
    return;
  }
  const tier = await tierWith(
    t,
    `{name: t, on: [nodes], do: [{type: shell, user: nobody, commands: ['id -un']}]}`,
  );
  const other = await tierWith(
    t,
    `{name: t, on: [nodes], do: [{type: shell, user: no-such, commands: ['id']}]}`,
  );

  await tier.duckctl("nodes", "add", "web", "10.0.0.1:80");
  await other.duckctl("nodes", "add", "web", "10.0.0.1:80");
  const [run] = await runsWhen(tier, ([newest]) => hasEnded(newest));
  const [failed] = await runsWhen(other, ([newest]) => hasEnded(newest));

  assert.equal(run?.outputTail, "nobody\n");
  assert.equal(failed?.outcome, "failed");
  assert.match(failed?.error ?? "", /Cannot run as user "no-such": no such account/);
});

test("a command whose directory is not there fails with the directory's name", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [nodes], do: [{type: shell, cwd: FOLDER/none, commands: ['true']}]}`,
  );

  await tier.duckctl("nodes", "add", "web", "10.0.0.1:80");
  const [run] = await runsWhen(tier, ([newest]) => hasEnded(newest));

  assert.match(run?.error ?? "", /Cannot run in cwd ".*\/none": there is no such directory/);
});

test("a run whose coordinator stops is ended, recorded, and not repeated after a restart", async (t) => {
  const tier = await tierWith(
    t,
    `{name: t, on: [nodes], do: [{type: shell, cwd: FOLDER, commands: ['echo x >> begun; sleep 60']}]}`,
  );
  await tier.duckctl("nodes", "add", "web", "10.0.0.1:80");
  await runsWhen(tier, ([newest]) => newest?.outcome === "started");

  await tier.restart();
  const [run] = await runsWhen(tier, ([newest]) => hasEnded(newest));

  assert.equal(run?.outcome, "failed");
  assert.match(run?.error ?? "", /the coordinator is stopping/);
  assert.equal(readFileSync(join(tier.folder, "begun"), "utf8"), "x\n");
});
