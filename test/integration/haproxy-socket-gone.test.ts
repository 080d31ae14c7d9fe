/** HAProxy runs, but somebody has removed the socket that clusterduck asks it over. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, rm, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";

import type { Applier, ApplyOutcome } from "../../appliers/applier.js";
import { createHaproxyApplier } from "../../appliers/haproxy/applier.js";
import { systemClock } from "../../common/clock.js";
import type { ProxyTargetConfig, ReloadConfig } from "../../common/config/model.js";
import { atEnd, temporaryFolder } from "../support/at-end.js";
import { freePort } from "../support/free-port.js";
import { startHaproxy, type HaproxyServer } from "../support/haproxy.js";
import { answers, bundleOf, workerOf } from "../support/haproxy-serving.js";
import { haproxyConfig, nodeSlice, proxyTarget } from "../support/haproxy-views.js";
import { startWebServer, type WebServer } from "../support/web-server.js";

const signal = new AbortController().signal;

test("the master socket takes the place of a stats socket that is gone", async (t) => {
  const { apply, applier, haproxy, answering, socket, webs } = await withStatsSocket(
    t,
    ({ masterSocket }) => ({
      kind: "master",
      socket: masterSocket,
    }),
  );
  await unlink(socket);
  const worker = await workerOf(haproxy);

  const state = await apply({ down: [0] });
  const sameWorker = await workerOf(haproxy);
  const structure = await apply({ options: ["http-reuse safe"] });

  assert.deepEqual([state.error, state.method, sameWorker], ["", "runtime", worker]);
  assert.deepEqual([structure.error, structure.method], ["", "reload"]);
  assert.equal(structure.observedGeneration, structure.wantedGeneration);
  assert.match(structure.warnings.join(), /s\.sock".* the master socket serves instead: .*restart HAProxy/);
  assert.equal((await answering()).size, webs.length);
  assert.equal((await applier.observe()).error, "");
  assert.equal(existsSync(socket), false, "a reload brought it back: the warning is wrong");
});

for (const [name, reload] of [
  [
    "a user's command",
    ({ pid }: Host) => ({ kind: "command", command: `kill -USR2 ${pid()}`, timeoutMs: 5_000 }),
  ],
  ["SIGUSR2 by pid file", ({ pidFile }: Host) => ({ kind: "pidFile", path: pidFile })],
] as const satisfies readonly (readonly [string, (host: Host) => ReloadConfig])[]) {
  test(`${name} goes on without the stats socket, and HAProxy's processes are the proof`, async (t) => {
    const { apply, applier, haproxy, answering, path, socket, webs } = await withStatsSocket(t, reload);
    await unlink(socket);

    const removed = await apply({ down: [0] });

    assert.deepEqual([removed.error, removed.method], ["", "reload"]);
    assert.match(
      removed.warnings.join(),
      /s\.sock".*HAProxy runs.* restart HAProxy, because a reload does not/,
    );
    assert.equal(removed.appliedGeneration, removed.wantedGeneration);
    assert.deepEqual(await answering(), new Set([String(webs[1]?.port)]));
    const worker = await workerOf(haproxy);
    const again = await apply({ down: [0] });
    assert.deepEqual([again.error, again.method], ["", "unchanged"]);
    assert.equal(await workerOf(haproxy), worker);
    assert.equal((await applier.observe()).error, "");

    // What the validator passes and HAProxy does not take is undone, without any socket too.
    const before = await readFile(path, "utf8");
    const refused = await apply({ options: ["nonsense word"] }, { program: "/bin/true" });
    assert.equal(refused.method, "restored");
    assert.equal(await readFile(path, "utf8"), before);

    // The remedy is the one that the warning names.
    await haproxy.crash();
    const restarted = await startHaproxy({ files: [path], masterSocket: haproxy.masterSocket });
    atEnd(t, () => restarted.stop());
    const mended = await apply({ down: [1] });
    assert.deepEqual([mended.error, mended.method, mended.warnings], ["", "runtime", []]);
    assert.deepEqual(await answering(), new Set([String(webs[0]?.port)]));
  });
}

test("a reload that nothing can prove is told once, with what would help, and is not made again", async (t) => {
  const { haproxy, path, make, bundle, socket } = await withStatsSocket(t, ({ pid }) => ({
    kind: "command",
    command: `kill -USR2 ${pid()}`,
    timeoutMs: 5_000,
  }));
  await unlink(socket);
  // Nothing is known of processes that were seen before.
  await rm(join(dirname(path), "state", "haproxy"), { recursive: true });
  const forgetful = make();

  const told = await forgetful.apply(bundle({ down: [0] }), signal);
  const worker = await workerAfter(haproxy);
  const again = await forgetful.apply(bundle({ down: [0] }), signal);

  assert.match(
    told.error,
    /nothing can show that it did: if it runs, restart HAProxy, because a reload does/,
  );
  assert.equal(told.appliedGeneration, told.wantedGeneration);
  assert.match(await readFile(path, "utf8"), / disabled/);
  assert.equal(again.error, told.error);
  assert.equal(await workerOf(haproxy), worker);

  await haproxy.crash();
  const restarted = await startHaproxy({ files: [path], masterSocket: haproxy.masterSocket });
  atEnd(t, () => restarted.stop());
  const mended = await forgetful.apply(bundle({ down: [0] }), signal);
  assert.deepEqual([mended.error, mended.observedGeneration], ["", mended.wantedGeneration]);
});

type Host = { readonly masterSocket: string; readonly pidFile: string; readonly pid: () => number };
type Wanted = { readonly down?: readonly number[]; readonly options?: readonly string[] };

type WithStatsSocket = {
  readonly apply: (wanted: Wanted, target?: Partial<ProxyTargetConfig>) => Promise<ApplyOutcome>;
  readonly applier: Applier;
  readonly make: (target?: Partial<ProxyTargetConfig>) => Applier;
  readonly bundle: (wanted: Wanted) => ReturnType<typeof bundleOf>;
  readonly haproxy: HaproxyServer;
  readonly path: string;
  readonly socket: string;
  readonly webs: readonly WebServer[];
  readonly answering: () => Promise<ReadonlySet<string>>;
};

/** A HAProxy with two web servers that has converged over its stats socket. */
async function withStatsSocket(
  t: TestContext,
  reloadOf: (host: Host) => ReloadConfig,
): Promise<WithStatsSocket> {
  const dir = await temporaryFolder(t, "duck-ha-");
  const webs = [await startWebServer(), await startWebServer()];
  atEnd(t, () => Promise.all(webs.map((web) => web.stop())));
  const port = await freePort();
  const path = join(dir, "haproxy.cfg");
  const socket = join(dir, "s.sock");
  const [masterSocket, pidFile] = [join(dir, "m.sock"), join(dir, "pid")];
  let haproxy: HaproxyServer | null = null;
  const host = { masterSocket, pidFile, pid: () => haproxy?.pid ?? 0 };
  const make: WithStatsSocket["make"] = (changes = {}) =>
    createHaproxyApplier({
      balancer: "front",
      mode: "file",
      target: proxyTarget({ path, statsSocket: socket, reload: reloadOf(host), ...changes }),
      stateDir: join(dir, "state"),
      clock: systemClock,
    });
  const bundle: WithStatsSocket["bundle"] = ({ down = [], options = [] }) =>
    bundleOf(
      haproxyConfig({
        frontends: { web: { bind: [`127.0.0.1:${port}`], options: [] } },
        backendOptions: options,
      }),
      webs.map((web, place) => nodeSlice(web.addr, { state: down.includes(place) ? "down" : "healthy" })),
    );
  await make({ reload: { kind: "none" } }).apply(bundle({}), signal);
  haproxy = await startHaproxy({ files: [path], masterSocket, pidFile });
  const started = haproxy;
  atEnd(t, () => started.stop());
  const applier = make();
  const first = await applier.apply(bundle({}), signal);
  assert.deepEqual([first.error, first.observedGeneration], ["", first.wantedGeneration]);
  return {
    apply: (wanted, changes) =>
      (changes === undefined ? applier : make(changes)).apply(bundle(wanted), signal),
    applier,
    make,
    bundle,
    haproxy,
    path,
    socket,
    webs,
    answering: () => answers(port, 6),
  };
}

/** The newest worker, once the one of a reload that is still under way is there. */
async function workerAfter(haproxy: HaproxyServer): Promise<string> {
  let worker = await workerOf(haproxy).catch(() => "none");
  for (const deadlineMs = performance.now() + 5_000; performance.now() < deadlineMs;) {
    await systemClock.sleep(200);
    const now = await workerOf(haproxy).catch(() => "none");
    if (now === worker && now !== "none") return now;
    worker = now;
  }
  throw new Error("HAProxy has no steady worker");
}
