/** The built duck-coordinator, killed with SIGKILL while a trigger's command is under way. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { identify } from "../../common/daemon/processes.js";
import { readNote } from "../../coordinator/triggers/run-notes.js";
import type { RunNote } from "../../coordinator/triggers/run-notes.js";
import { coordinatorYaml, startCoordinatorProgram, temporaryFolder } from "../support/coordinator-program.js";
import type { CoordinatorProgram } from "../support/coordinator-program.js";
import { until } from "../support/until.js";

const PATIENCE_MS = 30_000;

/** A coordinator whose trigger's command has begun, with the pid of the command's shell. */
async function startRun(t: TestContext, action: string) {
  const folder = temporaryFolder(t);
  const yaml = coordinatorYaml(
    `clusters: {web: {type: tcp, pass_without_checks: true, triggers: [{name: t, on: [nodes], do: [{type: shell, cwd: ${folder}, ${action}}]}]}}`,
  );
  const started = await startCoordinatorProgram(t, yaml, folder);
  await started.control.addNode({ node: { cluster: "web", addr: "10.0.0.1:80" } });
  const begun = (): readonly string[] => linesOf(join(folder, "begun"));
  const isNoted = (): boolean => notesIn(folder).some(({ group }) => group !== null);
  await until(() => begun().length > 0 && isNoted(), "the command begins", PATIENCE_MS);
  return { started, begun, folder, again: () => startCoordinatorProgram(t, yaml, folder) };
}

async function endedRun({ control }: CoordinatorProgram) {
  for (;;) {
    const { runs } = await control.listRuns({ cluster: "web" });
    const [run] = runs;
    assert.equal(runs.length, 1);
    if (run?.outcome === "failed" || run?.outcome === "succeeded") {
      const { outcome, exitCode, attempts, outputTail, error } = run;
      return { outcome, exitCode, attempts, outputTail, error };
    }
  }
}

function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, "utf8").trim().split("\n");
  } catch {
    return [];
  }
}

function notesIn(folder: string): readonly RunNote[] {
  const notes = join(folder, "data", "runs");
  if (!existsSync(notes)) return [];
  return readdirSync(notes).flatMap((name) => readNote(join(notes, name)) ?? []);
}

test("a command ends at its time limit as a group though its coordinator was killed and nobody came back", async (t) => {
  const { started, begun } = await startRun(
    t,
    `timeout: 2s, commands: ['trap "" TERM; sh -c ''trap "" TERM; while :; do sleep 0.1; done'' & echo $$ $! > begun; wait; wait']`,
  );
  const pids = (begun()[0] ?? "").split(" ").map(Number);
  assert.equal(pids.length, 2);

  await started.program.kill();

  assert.ok(
    pids.every((pid) => identify(pid) !== null),
    "they go on until their time limit",
  );
  await until(() => pids.every((pid) => identify(pid) === null), "both end", 15_000);
});

test("a coordinator that comes back waits for the command under way and records how it ended", async (t) => {
  const { started, begun, again, folder } = await startRun(
    t,
    `commands: ['echo x >> begun; while [ ! -e go ]; do sleep 0.05; done; echo last words; exit 3']`,
  );

  await started.program.kill();
  const next = await again();
  const before = await next.control.listRuns({ cluster: "web" });
  await next.control.removeNode({ node: { cluster: "web", addr: "10.0.0.1:80" } });
  const { runs } = await next.control.listRuns({ cluster: "web" });
  writeFileSync(join(folder, "go"), "");
  await until(() => begun().length === 2, "the next run of the same trigger", PATIENCE_MS);
  const after = await next.control.listRuns({ cluster: "web" });

  assert.equal(before.runs[0]?.outcome, "started");
  assert.deepEqual(
    runs.map((run) => run.outcome),
    ["pending", "started"],
  );
  const first = after.runs.at(-1);
  assert.deepEqual(
    [first?.outcome, first?.exitCode, first?.outputTail, first?.attempts],
    ["failed", 3, "last words\n", 1],
  );
});

test("what ended while no coordinator was there is recorded when one is back, and its note goes", async (t) => {
  const { started, begun, again, folder } = await startRun(
    t,
    `commands: ['echo x >> begun; sleep 0.5; echo done']`,
  );
  const [note] = notesIn(folder);

  await started.program.kill();
  await until(
    () => identify(note?.keeper.pid ?? 0) === null,
    "the keeper has nothing left to do",
    PATIENCE_MS,
  );
  const run = await endedRun(await again());

  assert.deepEqual(run, { outcome: "succeeded", exitCode: 0, attempts: 1, outputTail: "done\n", error: "" });
  assert.equal(begun().length, 1);
  await until(() => notesIn(folder).length === 0, "its note is removed", PATIENCE_MS);
});

test("an interrupted run with retries is tried again once its first command has ended, never beside it", async (t) => {
  const { started, begun, again, folder } = await startRun(
    t,
    `retries: 1, commands: ['mkdir lock || echo overlap >> begun; echo x >> begun; test "$(wc -l < begun)" -ge 2 || { sleep 2; rmdir lock; exit 1; }']`,
  );

  await started.program.kill();
  const run = await endedRun(await again());

  assert.deepEqual(run, { outcome: "succeeded", exitCode: 0, attempts: 2, outputTail: "", error: "" });
  assert.deepEqual(begun(), ["x", "x"]);
  assert.ok(!linesOf(join(folder, "begun")).includes("overlap"));
});

for (const retries of [0, 1]) {
  const title = retries === 0 ? "is failed and not repeated" : "is repeated once, as retries allow it";
  test(`a run whose coordinator and keeper were both killed ${title}, and its command is ended`, async (t) => {
    const { started, begun, again, folder } = await startRun(
      t,
      `retries: ${retries}, commands: ['echo $$ >> begun; test "$(wc -l < begun)" -ge 2 || sleep 600']`,
    );
    const shell = Number(begun()[0]);
    const [note] = notesIn(folder);

    await started.program.kill();
    process.kill(note?.keeper.pid ?? 0, "SIGKILL");
    await until(() => identify(note?.keeper.pid ?? 0) === null, "the keeper is gone", PATIENCE_MS);
    assert.ok(identify(shell) !== null, "nobody has ended the command yet");
    const run = await endedRun(await again());

    await until(() => identify(shell) === null, "the command has ended", PATIENCE_MS);
    assert.equal(run.attempts, retries + 1);
    assert.equal(run.outcome, retries === 0 ? "failed" : "succeeded");
    assert.equal(begun().length, retries + 1);
    if (retries === 0) assert.match(run.error, /was killed; the command was ended too/);
  });
}

test("a run of which no note is left is failed, with a word about it", async (t) => {
  const { started, begun, again, folder } = await startRun(t, `commands: ['echo $$ >> begun; sleep 600']`);
  const shell = Number(begun()[0]);
  t.after(() => identify(shell) !== null && process.kill(-shell, "SIGKILL"));

  await started.program.kill();
  rmSync(join(folder, "data", "runs"), { recursive: true });
  const run = await endedRun(await again());

  assert.equal(run.outcome, "failed");
  assert.match(run.error, /ended before it could record the outcome/);
});

test("a keeper that is killed under its coordinator fails the run, ends the command, and the next run works", async (t) => {
  const { started, begun, folder } = await startRun(
    t,
    `commands: ['echo $$ >> begun; test "$(wc -l < begun)" -ge 2 || sleep 600']`,
  );
  const shell = Number(begun()[0]);
  const [note] = notesIn(folder);

  process.kill(note?.keeper.pid ?? 0, "SIGKILL");
  const run = await endedRun(started);
  await started.control.addNode({ node: { cluster: "web", addr: "10.0.0.2:80" } });
  await until(() => begun().length === 2, "the next run", PATIENCE_MS);

  assert.equal(run.outcome, "failed");
  assert.match(run.error, /was killed; the command was ended too/);
  await until(() => identify(shell) === null, "the command is ended", PATIENCE_MS);
});
