import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { ROLE_VARIABLE } from "../../common/daemon/messages.js";
import type { Role } from "../../common/daemon/messages.js";
import { claimPidFile, readPidFile } from "../../common/daemon/pid-file.js";
import { identify } from "../../common/daemon/processes.js";
import { reloadDaemon, stopDaemon } from "../../common/daemon/stop.js";

const PROGRAM = "test/support/daemon-program.ts";

function place(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), "duck-daemon-"));
  const pidFile = join(directory, "run", "duck.pid");
  const journal = join(directory, "journal");
  writeFileSync(journal, "");
  const lines = () => readFileSync(journal, "utf8").split("\n").filter(Boolean);
  const pids = () => lines().flatMap((line) => (line.startsWith("running ") ? [Number(line.slice(8))] : []));
  const args = (behaviour: string) => [
    `pidFile=${pidFile}`,
    `logDir=${join(directory, "log")}`,
    `journal=${journal}`,
    `behaviour=${behaviour}`,
  ];
  const stop = () => stopDaemon({ program: "duck-test", pidFile, timeoutMs: 10_000 });
  context.after(async () => {
    const holder = readPidFile(pidFile);
    for (const pid of [...(holder === null ? [] : [holder.pid]), ...pids()]) {
      if (identify(pid) !== null) process.kill(pid, "SIGKILL");
      await eventually(() => identify(pid) === null, `process ${pid} to end`);
    }
    rmSync(directory, { recursive: true, force: true });
  });
  const run = (command: string, behaviour = "well") =>
    spawnSync(process.execPath, ["--import", "tsx", PROGRAM, command, ...args(behaviour)], {
      encoding: "utf8",
      timeout: 30_000,
    });
  const stderrLog = () => readFileSync(join(directory, "log", "duck-test.stderr.log"), "utf8");
  const stdoutLog = () => readFileSync(join(directory, "log", "duck-test.stdout.log"), "utf8");
  return { pidFile, lines, pids, args, run, stop, stderrLog, stdoutLog };
}

async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a daemon is ready when the launcher returns, and is stopped by its pid file", async (context) => {
  const { run, pids, lines, pidFile, stop, stdoutLog, stderrLog } = place(context);

  const launched = run("start");

  assert.equal(launched.status, 0, launched.stderr);
  const [child] = pids();
  const watchdog = readPidFile(pidFile)?.pid;
  assert.equal(launched.stdout, `started ${watchdog}\n`);
  assert.ok(child !== undefined && identify(child) !== null && child !== watchdog);
  await eventually(() => stdoutLog() === "hello on stdout\n", "standard output is in its file");
  assert.match(stderrLog(), /"event":"daemon.child_started"/);

  assert.deepEqual(await stop(), { kind: "stopped", pid: watchdog, wasKilled: false });

  assert.equal(identify(child), null);
  assert.deepEqual(lines().slice(1), ["stopping SIGTERM"]);
  assert.equal(existsSync(pidFile), false);
});

test("a child killed with -9 is started again by its watchdog", async (context) => {
  const { run, pids, pidFile, stop, stderrLog } = place(context);
  assert.equal(run("start").status, 0);
  const watchdog = readPidFile(pidFile)?.pid;

  process.kill(pids()[0] ?? 0, "SIGKILL");
  await eventually(() => pids().length === 2, "a second child runs");

  assert.equal(readPidFile(pidFile)?.pid, watchdog);
  assert.match(stderrLog(), /"event":"daemon.child_died".*"signal":"SIGKILL"/);
  assert.equal((await stop()).kind, "stopped");
  assert.equal(identify(pids()[1] ?? 0), null);
});

test("a watchdog killed with -9 leaves the child at work, and stop finds it", async (context) => {
  const { run, pids, pidFile, stop, stderrLog } = place(context);
  assert.equal(run("start").status, 0);
  const [child] = pids();

  process.kill(readPidFile(pidFile)?.pid ?? 0, "SIGKILL");
  await eventually(() => readPidFile(pidFile)?.pid === child, "the child takes over the pid file");

  assert.match(stderrLog(), /daemon.watchdog_lost/);
  assert.deepEqual(await stop(), { kind: "stopped", pid: child, wasKilled: false });
  await eventually(() => !existsSync(pidFile), "the pid file is gone");
});

test("a child waits for its pid file while the lost watchdog is still dying", async (context) => {
  const { args, pids, pidFile, stop, lines } = place(context);
  const dying = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  context.after(() => dying.kill("SIGKILL"));
  const watchdogFile = claimPidFile(pidFile, "duck-test", dying.pid);
  const role: Role = { role: "child", program: "duck-test", pidFile };
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, "foreground", ...args("well")], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: { ...process.env, [ROLE_VARIABLE]: JSON.stringify(role) },
  });
  await eventually(() => pids().length === 1, "the child runs");

  assert.ok(child.stderr !== null);
  const log = createInterface({ input: child.stderr });
  const lost = new Promise<void>((resolve) =>
    log.on("line", (line) => line.includes("daemon.watchdog_lost") && resolve()),
  );
  child.disconnect();
  await lost;
  assert.equal(readPidFile(watchdogFile.path)?.pid, dying.pid);
  dying.kill("SIGKILL");

  await eventually(() => readPidFile(pidFile)?.pid === child.pid, "the child takes over the pid file");
  assert.equal((await stop()).kind, "stopped");
  assert.deepEqual(lines().slice(1), ["stopping SIGTERM"]);
});

test("a child that fails to start gives the launcher its exit code and its words", async (context) => {
  const { run, pidFile } = place(context);

  const launched = run("start", "failing");

  assert.equal(launched.status, 2);
  assert.match(launched.stderr, /Cannot start duck-test: it exited with code 2 before it was ready/);
  assert.match(launched.stderr, /the configuration is wrong/);
  await eventually(() => !existsSync(pidFile), "the watchdog has ended");
});

test("a child that never says it is ready is stopped, and the launcher says so", async (context) => {
  const { run, pids, pidFile } = place(context);

  const launched = run("start", "mute");

  assert.equal(launched.status, 1);
  assert.match(launched.stderr, /was not ready within 1000 ms/);
  await eventually(
    () => pids().every((pid) => identify(pid) === null) && !existsSync(pidFile),
    "all have ended",
  );
});

test("a second daemon is refused, by the launcher and in the foreground", async (context) => {
  const { run, pidFile, stop } = place(context);
  assert.equal(run("start").status, 0);
  const holder = readPidFile(pidFile);

  const second = run("start");
  const foreground = run("foreground");

  assert.equal(second.status, 1);
  assert.match(second.stderr, new RegExp(`runs already, with pid ${holder?.pid}`));
  assert.equal(foreground.status, 1);
  assert.match(foreground.stderr, /runs already/);
  assert.deepEqual(readPidFile(pidFile), holder);
  await stop();
});

test("SIGHUP reaches the child through its watchdog", async (context) => {
  const { run, lines, pidFile, stop } = place(context);
  assert.equal(run("start").status, 0);

  reloadDaemon("duck-test", pidFile);

  await eventually(() => lines().includes("reloaded"), "the child reloads");
  await stop();
});

test("a process that ignores SIGTERM is not killed unless asked, and a second signal ends it", async (context) => {
  const { args, pids, pidFile, lines } = place(context);
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, "foreground", ...args("stubborn")], {
    stdio: "ignore",
  });
  const ended = new Promise<readonly [number | null, string | null]>((resolve) =>
    child.on("exit", (code, signal) => resolve([code, signal])),
  );
  await eventually(() => pids().length === 1 && existsSync(pidFile), "it runs");

  await assert.rejects(stopDaemon({ program: "duck-test", pidFile, timeoutMs: 200 }), { code: "TIMED_OUT" });
  assert.notEqual(identify(pids()[0] ?? 0), null);
  assert.deepEqual(lines().slice(1), ["stopping SIGTERM"]);
  child.kill("SIGTERM");

  assert.deepEqual(await ended, [143, null]);
});

test("stop with force ends a process that ignores SIGTERM", async (context) => {
  const { args, pids, pidFile } = place(context);
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, "foreground", ...args("stubborn")], {
    stdio: "ignore",
  });
  await eventually(() => pids().length === 1 && existsSync(pidFile), "it runs");

  const outcome = await stopDaemon({ program: "duck-test", pidFile, timeoutMs: 200, isForced: true });

  assert.deepEqual(outcome, { kind: "stopped", pid: child.pid, wasKilled: true });
  assert.equal(existsSync(pidFile), false);
});
