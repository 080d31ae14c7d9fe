import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { claimPidFile, readPidFile } from "./pid-file.js";
import { identify, isRunning } from "./processes.js";
import { stopDaemon } from "./stop.js";

function place(context: TestContext): { readonly directory: string; readonly path: string } {
  const directory = mkdtempSync(join(tmpdir(), "duck-pid-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return { directory, path: join(directory, "duck.pid") };
}

/** The pid of a process that has ended. */
function deadPid(): number {
  return spawnSync("true").pid;
}

test("a pid file names the process for good, and goes with it", (context) => {
  const { path, directory } = place(context);

  const file = claimPidFile(path, "duck-test");

  assert.deepEqual(readPidFile(path), identify(process.pid));
  assert.match(readFileSync(path, "utf8"), new RegExp(`^${process.pid} \\d+ [0-9a-f-]{36}\\n$`));
  file.remove();
  file.remove();
  assert.deepEqual(readdirSync(directory), []);
});

test("a running process keeps its pid file", (context) => {
  const { path } = place(context);
  const other = spawn("sleep", ["60"]);
  context.after(() => other.kill());
  claimPidFile(path, "duck-test", other.pid);

  assert.throws(() => claimPidFile(path, "duck-test"), { code: "ALREADY_RUNNING", hint: "duck-test stop" });
  assert.equal(readPidFile(path)?.pid, other.pid);
});

test("stale pid files are replaced: a dead pid, a pid used again, nonsense", (context) => {
  const { path, directory } = place(context);
  const own = identify(process.pid);
  for (const stale of [
    `${deadPid()} 1 x\n`,
    `${process.ppid} 1 ${own?.boot}\n`,
    "",
    "nonsense\n",
    `${deadPid()}\n`,
  ]) {
    writeFileSync(path, stale);

    const file = claimPidFile(path, "duck-test");

    assert.deepEqual(readPidFile(path), own, JSON.stringify(stale));
    file.remove();
  }
  assert.deepEqual(readdirSync(directory), []);
});

test("only one of many starters gets a stale pid file", async (context) => {
  const { path } = place(context);
  writeFileSync(path, `${deadPid()} 1 x\n`);
  const script = `
    import { claimPidFile } from "./common/daemon/pid-file.ts";
    process.stdin.once("data", () => {
      try { claimPidFile(${JSON.stringify(path)}, "x"); process.stdout.write("won"); setTimeout(() => undefined, 60_000); }
      catch (thrown) { process.stdout.write(thrown.code); process.exit(); }
    });
    process.stdout.write("ready ");
  `;
  const starters = Array.from({ length: 6 }, () => {
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script]);
    context.after(() => child.kill("SIGKILL"));
    const output = { text: "" };
    child.stdout.on("data", (chunk: Buffer) => (output.text += chunk.toString()));
    const heard = (pattern: RegExp) =>
      new Promise<string>((resolve, reject) => {
        const look = () => pattern.test(output.text) && resolve(output.text);
        child.stdout.on("data", look);
        child.on("exit", () =>
          pattern.test(output.text) ? resolve(output.text) : reject(new Error(output.text)),
        );
        look();
      });
    return { child, heard };
  });
  await Promise.all(starters.map(({ heard }) => heard(/ready/)));

  for (const { child } of starters) child.stdin.write("go\n");
  const results = await Promise.all(starters.map(({ heard }) => heard(/won|ALREADY_RUNNING/)));

  assert.equal(results.filter((text) => text.includes("won")).length, 1, results.join("|"));
});

test("stop removes a stale pid file and signals nobody", async (context) => {
  const { path } = place(context);
  const bystander = spawn("sleep", ["60"]);
  context.after(() => bystander.kill());
  const identity = identify(bystander.pid ?? 0);
  assert.ok(identity !== null);
  // The pid is in use again, by a process that started at another time.
  writeFileSync(path, `${identity.pid} ${Number(identity.start) - 1} ${identity.boot}\n`);

  const outcome = await stopDaemon({ program: "duck-test", pidFile: path, timeoutMs: 1_000 });

  assert.deepEqual(outcome, { kind: "notRunning", wasStale: true });
  assert.equal(existsSync(path), false);
  assert.equal(isRunning(identity), true);
  assert.deepEqual(await stopDaemon({ program: "duck-test", pidFile: path, timeoutMs: 1_000 }), {
    kind: "notRunning",
    wasStale: false,
  });
});

test("a directory that cannot be written is an error with a way out", (context) => {
  const { path } = place(context);
  writeFileSync(path, "a file, where a directory would have to be");

  assert.throws(() => claimPidFile(join(path, "run", "duck.pid"), "duck-test"), { code: "DISK_FAILED" });
});
