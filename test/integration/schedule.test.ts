/** The schedule against real processes and sockets: freezes, kills, restarts and a stalled observer. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, test } from "node:test";
import type { Check, CheckContext } from "../../checks/check.js";
import { createSchedule, type ScheduleOptions } from "../../checks/schedule/create.js";
import { createProcessWatcher } from "../../checks/schedule/process-watcher.js";
import type { ProcessWatcher } from "../../checks/schedule/process-evidence.js";
import { createSelfDoubtSource } from "../../checks/schedule/self-doubt-source.js";
import { SELF_DOUBT_DEFAULTS } from "../../checks/schedule/self-doubt.js";
import { systemClock } from "../../common/clock.js";
import type { ScheduledNode } from "../../common/model/assignment.js";
import type { Observation, ObservationReport } from "../../common/model/observation.js";
import { seededRandom } from "../../common/random.js";
import { fakeCheckConfig } from "../support/fake-service.js";
import { freePort } from "../support/free-port.js";
import { lineCheck, openLines, type Line } from "../support/lines.js";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** An echo server; `process.argv[1]` is its port or path. Says "ready" once it listens. */
const ECHO = `
  const net = require("node:net");
  const where = process.argv[1];
  net.createServer((s) => { s.on("error", () => {}); s.pipe(s); })
    .listen(where.startsWith("/") ? { path: where } : { port: Number(where), host: "127.0.0.1" }, () => console.log("ready"));
`;
/** Two workers behind one listening socket of their primary. Prints the pid of the first worker. */
const CLUSTER = `
  const cluster = require("node:cluster"), net = require("node:net");
  if (cluster.isPrimary) {
    const first = cluster.fork(), second = cluster.fork();
    let left = 2;
    cluster.on("listening", () => { if (--left === 0) console.log("ready " + first.process.pid + " " + second.process.pid); });
  } else net.createServer((s) => s.pipe(s)).listen(Number(process.argv[1]), "127.0.0.1");
`;

async function start(
  program: string,
  where: number | string,
): Promise<{ child: ChildProcess; words: string[] }> {
  const child = spawn(process.execPath, ["-e", program, String(where)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(() => void child.kill("SIGKILL"));
  assert.ok(child.stdout !== null);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, words: line.toString().trim().split(" ") };
}

async function until(isDone: () => boolean, limitMs: number, what: string): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!isDone()) {
    if (performance.now() > endMs) assert.fail(`not within ${limitMs} ms: ${what}`);
    await systemClock.sleep(2);
  }
}

/** A check with one persistent connection and standby ones while a reply is overdue: write a byte, read it back. */
function echoCheck({ address, onConnectionLost }: CheckContext): Check {
  const idle: Socket[] = [];
  const all = new Set<Socket>();
  let isClosed = false;
  return {
    run: (signal) =>
      new Promise<Observation>((resolve) => {
        const startedMs = performance.now();
        const latencyMs = (): number => performance.now() - startedMs;
        let isOver = false;
        const finish = (observation: Observation): void => {
          isOver = true;
          signal.removeEventListener("abort", onAbort);
          resolve(observation);
        };
        const socket = idle.pop() ?? connect(address.kind === "unix" ? { path: address.path } : address);
        const isNew = !all.has(socket);
        all.add(socket);
        const onAbort = (): void => void socket.destroy();
        signal.addEventListener("abort", onAbort);
        socket.removeAllListeners("close").removeAllListeners("data");
        if (isNew)
          socket.on("error", (error: NodeJS.ErrnoException) => {
            const reason = error.code === "ECONNREFUSED" || error.code === "ENOENT" ? "refused" : "reset";
            if (!isOver) finish({ outcome: "failed", reason, detail: error.message, latencyMs: latencyMs() });
          });
        socket.on("data", () => {
          idle.push(socket);
          if (!isOver) finish({ outcome: "passed", latencyMs: latencyMs() });
        });
        socket.on("close", () => {
          all.delete(socket);
          const place = idle.indexOf(socket);
          if (place !== -1) idle.splice(place, 1);
          if (!isOver)
            finish({ outcome: "failed", reason: "closed", detail: "closed", latencyMs: latencyMs() });
          else if (!isClosed) onConnectionLost();
        });
        socket.write(".");
      }),
    close: () => {
      isClosed = true;
      for (const socket of all) socket.destroy();
    },
  };
}

type Observed = { readonly report: ObservationReport; readonly atMs: number };
type Watching = { readonly seen: Observed[]; readonly isDisturbed: () => boolean };

function watch(nodes: readonly ScheduledNode[], over: Partial<ScheduleOptions> = {}): Watching {
  const seen: Observed[] = [];
  const schedule = createSchedule({
    clock: systemClock,
    random: seededRandom(7),
    createCheck: echoCheck,
    execChecks: {},
    processWatcher: null,
    // Other programs may keep this machine busy; what is measured here must not stretch with it.
    selfDoubtSource: null,
    onReports: (batch) => seen.push(...batch.map((report) => ({ report, atMs: performance.now() }))),
    ...over,
  });
  cleanups.push(() => schedule.close());
  schedule.assign(nodes);
  return { seen, isDisturbed: () => schedule.stats().tainted > 0 || schedule.selfDoubt().level > 0 };
}

function nodeAt(addr: string, over = {}): ScheduledNode {
  return { node: { cluster: "echo", addr }, epoch: 1, clusterType: "tcp", checks: [fakeCheckConfig(over)] };
}

/** A watcher that has learned who serves the address. */
async function learned(addr: string): Promise<ProcessWatcher> {
  const watcher = createProcessWatcher({ scanGapMs: 50 });
  cleanups.push(() => watcher.close());
  watcher.watch([addr]);
  await until(() => watcher.evidence(addr).state === "running", 5_000, `the process behind ${addr} is known`);
  return watcher;
}

const hasProc = process.platform === "linux";

test(
  "kill -9 is told as an exit within moments of the close of its connection",
  { skip: !hasProc },
  async (t) => {
    const port = await freePort();
    const { child } = await start(ECHO, port);
    const addr = `127.0.0.1:${port}`;
    const watcher = await learned(addr);
    const { seen } = watch([nodeAt(addr)], { processWatcher: watcher });
    await until(() => seen.length >= 1, 3_000, "a first pass");

    const killedMs = performance.now();
    child.kill("SIGKILL");
    await until(() => seen.some(({ report }) => report.hasProcessExited), 2_000, "the exit is told");

    const told = seen.find(({ report }) => report.hasProcessExited);
    assert.ok(told?.report.observation.outcome === "failed");
    assert.match(told.report.observation.detail, /process \d+ has exited and nobody listens/);
    const tookMs = told.atMs - killedMs;
    assert.ok(tookMs < 250, `${tookMs} ms`);
    t.diagnostic(`SIGKILL to report: ${tookMs.toFixed(1)} ms`);
  },
);

test(
  "a restart by a supervisor withdraws the evidence, and the new process is known in turn",
  { skip: !hasProc },
  async () => {
    const port = await freePort();
    const { child } = await start(ECHO, port);
    const addr = `127.0.0.1:${port}`;
    const watcher = await learned(addr);
    child.kill("SIGKILL");
    await until(() => watcher.evidence(addr).state === "exited", 2_000, "evidence of the exit");

    const second = await start(ECHO, port);
    assert.equal(watcher.evidence(addr).state, "running");
    watcher.relearn(addr);
    await until(
      () => watcher.evidence(addr).detail === `process ${second.child.pid} runs`,
      3_000,
      "the new process is known",
    );

    second.child.kill("SIGKILL");
    await until(() => watcher.evidence(addr).state === "exited", 2_000, "evidence of the second exit");
  },
);

test("one worker's death is no exit while the others serve the port", { skip: !hasProc }, async () => {
  const port = await freePort();
  const { child, words } = await start(CLUSTER, port);
  const addr = `127.0.0.1:${port}`;
  const watcher = await learned(addr);

  process.kill(Number(words[1]), "SIGKILL");
  await systemClock.sleep(50);
  assert.equal(watcher.evidence(addr).state, "running");

  process.kill(Number(words[2]), "SIGKILL");
  child.kill("SIGKILL");
  await until(() => watcher.evidence(addr).state === "exited", 2_000, "all are gone");
});

test(
  "a service that closes its port and lives gives no evidence, nor does a port that nobody ever served",
  { skip: !hasProc },
  async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const addr = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const watcher = await learned(addr);

    server.close();
    await once(server, "close");

    assert.equal(watcher.evidence(addr).state, "running");
    assert.match(watcher.evidence(addr).detail, new RegExp(`process ${process.pid} runs`));
    assert.equal(watcher.evidence("127.0.0.1:1").state, "unknown");
    watcher.watch([addr, "192.0.2.1:80"]);
    await systemClock.sleep(200);
    assert.equal(watcher.evidence("192.0.2.1:80").state, "unknown");
  },
);

test("exits are seen behind unix sockets as well", { skip: !hasProc }, async () => {
  const path = `/tmp/clusterduck-schedule-${process.pid}.sock`;
  const { child } = await start(ECHO, path);
  const watcher = await learned(`unix:${path}`);

  child.kill("SIGKILL");

  await until(() => watcher.evidence(`unix:${path}`).state === "exited", 2_000, "the exit");
});

test("a stopped process fails three times in a row about 1.25 s after the first look it left unanswered", async () => {
  const port = await freePort();
  const { child } = await start(ECHO, port);
  // A machine that keeps us from running stretches what we measure, rightly: then it is measured again.
  for (let attempt = 1; ; attempt++) {
    const { seen, isDisturbed } = watch([nodeAt(`127.0.0.1:${port}`)]);
    await until(() => seen.length >= 2, 5_000, "two passes");

    child.kill("SIGSTOP");
    const isThird = ({ report }: Observed): boolean =>
      report.observation.outcome === "failed" && report.consecutive === 3;
    await until(() => seen.some(isThird), 10_000, "three failures");
    child.kill("SIGCONT");
    await until(() => seen.at(-1)?.report.observation.outcome === "passed", 5_000, "it passes again");

    const doubt = seen.find(({ report }) => report.isDoubt);
    assert.ok(doubt !== undefined);
    const firstMs = doubt.report.takenAtMs - doubt.report.observation.latencyMs;
    const tookMs = (seen.find(isThird)?.atMs ?? NaN) - firstMs;
    assert.ok(tookMs >= 1_240, `${tookMs} ms`);
    if (isDisturbed() && attempt < 5) continue;
    assert.ok(tookMs < 1_450, `${tookMs} ms`);
    return;
  }
});

/** Doubt would stretch the timeouts beyond the stalls, and chance would take the looks out of step. */
const UNSTRETCHED = {
  random: () => 0.5,
  selfDoubtRules: { ...SELF_DOUBT_DEFAULTS, loopDelayMs: Infinity },
} as const;

/** By this much a timeout may pass late: one slot of the wheel, and a little. Milliseconds. */
const LATENESS_MS = 14;

const isSlow = ({ report: { observation } }: Observed): boolean =>
  observation.outcome === "passed" &&
  (observation.warnings ?? []).some((words) => words.startsWith("slow: answered after"));

test("an observer that stalls while 300 replies wait believes no timeout", async () => {
  const checks = Array.from({ length: 300 }, (_, index) =>
    fakeCheckConfig({ id: String(index), everyMs: 300, timeoutMs: 50, fall: 1 }),
  );
  const { lines, close } = await openLines(checks.length);
  cleanups.push(close);
  const asked: Line[] = [];
  const looks = {
    aborted: 0,
    onAsked: (line: Line) => {
      // Timers follow an immediate before anything is read: they find each timeout passed and each reply unread.
      if (asked.push(line) === 1)
        setImmediate(() => {
          for (const { far } of asked.splice(0)) far.write(".");
          stall(50 + LATENESS_MS);
        });
    },
  };
  const { seen } = watch([{ ...nodeAt("127.0.0.1:1"), checks }], {
    ...UNSTRETCHED,
    createCheck: ({ config }) => lineCheck(lines[Number(config.id)] as Line, "data", looks),
  });

  const passed = (): Observed[] => seen.filter(({ report }) => report.observation.outcome === "passed");
  await until(() => passed().length >= 1_500, 20_000, "five rounds of replies");

  assert.equal(looks.aborted, 0, "replies that lay in their sockets were given up");
  assert.ok(seen.every(({ report }) => report.observation.outcome !== "failed"));
  const early = passed().filter((each) => !isSlow(each)).length;
  assert.equal(early, 0, `${early} of ${passed().length} replies were read before their timeout passed`);
});

test("a timeout that passes while another is judged waits for the end of its reply as long", async () => {
  const timeoutsMs = [50, 300];
  const { lines, close } = await openLines(timeoutsMs.length);
  cleanups.push(close);
  let asked = 0;
  const looks = {
    aborted: 0,
    onAsked: () => {
      if (++asked !== lines.length) return;
      const startedMs = performance.now();
      const answer = (index: number): void => {
        lines[index]?.far.end("the answer");
        stall(startedMs + (timeoutsMs[index] ?? NaN) + LATENESS_MS - performance.now());
      };
      // Between the two immediates the first timeout passes, after them the second.
      setImmediate(() => {
        setImmediate(() => answer(1));
        answer(0);
      });
    },
  };
  const checks = timeoutsMs.map((timeoutMs, index) =>
    fakeCheckConfig({ id: String(index), timeoutMs, fall: 1 }),
  );
  let assignedMs: number | null = performance.now();
  const { seen } = watch([{ ...nodeAt("127.0.0.1:1"), checks }], {
    ...UNSTRETCHED,
    // Assigned at one moment, both looks begin at one moment.
    clock: { ...systemClock, monotonicMs: () => assignedMs ?? performance.now() },
    createCheck: ({ config }) => lineCheck(lines[Number(config.id)] as Line, "end", looks),
  });
  assignedMs = null;

  await until(() => seen.filter(isSlow).length + looks.aborted >= lines.length, 10_000, "both replies");

  assert.equal(looks.aborted, 0, "a reply that lay in its socket was given up");
});

function stall(durationMs: number): void {
  const endMs = performance.now() + durationMs;
  while (performance.now() < endMs);
}

test("the canary on loopback answers, and the source keeps no process alive", async () => {
  const source = createSelfDoubtSource();
  cleanups.push(() => source.close());

  const samples: (number | null)[] = [];
  await until(
    () => {
      samples.push(source.sample().canaryMs);
      return samples.some((sample) => sample !== null && sample < 2_000);
    },
    5_000,
    "an echo",
  );

  assert.ok(source.sample().cpuPressure >= -1);
});
