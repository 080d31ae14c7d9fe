/** The applier against a real HAProxy: every way of changing it, and every way it can go wrong. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import type { Bundle } from "../../appliers/applier.js";
import { createHaproxyApplier } from "../../appliers/haproxy/applier.js";
import { ask } from "../../appliers/haproxy/cli.js";
import { systemClock } from "../../common/clock.js";
import type { NodeSlice } from "../../coordinator/render/balancer-view.js";
import { atEnd, temporaryFolder } from "../support/at-end.js";
import { freePort } from "../support/free-port.js";
import { startHaproxy } from "../support/haproxy.js";
import { answers, bundleOf, fetchText, serving, workerOf } from "../support/haproxy-serving.js";
import { haproxyConfig, nodeSlice, proxyTarget } from "../support/haproxy-views.js";
import { startWebServer, type WebServer } from "../support/web-server.js";

const signal = new AbortController().signal;

test("a state change reaches HAProxy without a reload, and the file says the same", async (t) => {
  const { applier, front, webs, haproxy, path } = await serving(t, { webs: 2 });
  const [first, second] = webs as [WebServer, WebServer];
  const worker = await workerOf(haproxy);

  const outcome = await applier.apply(
    front([nodeSlice(first.addr, { state: "down" }), nodeSlice(second.addr)]),
    signal,
  );

  assert.equal(outcome.error, "");
  assert.equal(outcome.method, "runtime");
  assert.equal(outcome.observedGeneration, outcome.wantedGeneration);
  assert.equal(await workerOf(haproxy), worker);
  assert.deepEqual(await answers(front.port, 6), new Set([String(second.port)]));
  assert.match(await readFile(path, "utf8"), new RegExp(`server ${first.addr} ${first.addr} disabled`));
  assert.deepEqual(await applier.observe(), {
    appliedGeneration: outcome.wantedGeneration,
    observedGeneration: outcome.wantedGeneration,
    error: "",
  });
});

test("a structural change reloads HAProxy and is proven by its marker", async (t) => {
  const { applier, front, webs, haproxy } = await serving(t, { webs: 2 });
  const worker = await workerOf(haproxy);
  const third = await startWebServer();
  atEnd(t, () => third.stop());

  const outcome = await applier.apply(front([...webs, third].map((web) => nodeSlice(web.addr))), signal);

  assert.equal(outcome.error, "");
  assert.equal(outcome.method, "reload");
  assert.equal(outcome.observedGeneration, outcome.wantedGeneration);
  assert.notEqual(await workerOf(haproxy), worker);
  assert.equal((await answers(front.port, 9)).size, 3);
});

test("the same bundle again changes nothing, also after the applier's restart", async (t) => {
  const { front, webs, haproxy, make } = await serving(t, { webs: 1 });
  const worker = await workerOf(haproxy);

  const outcome = await make().apply(front(webs.map((web) => nodeSlice(web.addr))), signal);

  assert.equal(outcome.method, "unchanged");
  assert.equal(outcome.observedGeneration, outcome.wantedGeneration);
  assert.equal(await workerOf(haproxy), worker);
});

test("an older order is refused after a restart too", async (t) => {
  const { front, make, path } = await serving(t, { webs: 1 });
  const before = await readFile(path, "utf8");
  const old = { ...front([nodeSlice("127.0.0.1:9")]), fencing: { term: 0, index: 1 } };

  const outcome = await make().apply(old, signal);

  assert.equal(outcome.method, "refused");
  assert.match(outcome.error, /applied already/);
  assert.equal(await readFile(path, "utf8"), before);
});

test("no request fails during 20 reloads under load", async (t) => {
  const { applier, front, webs } = await serving(t, { webs: 2 });
  const load = startLoad(front.port);
  const times: number[] = [];

  for (let round = 0; round < 20; round++) {
    const options = { backendOptions: [`http-response set-header x-round ${round}`] };
    const outcome = await applier.apply(
      front(
        webs.map((web) => nodeSlice(web.addr)),
        options,
      ),
      signal,
    );
    assert.equal(outcome.method, "reload", outcome.error);
    times.push(outcome.durationMs);
    assert.equal(outcome.error, "");
  }

  const result = await load.end();
  times.sort((a, b) => a - b);
  t.diagnostic(
    `validate, write, reload, prove: median ${times[10]?.toFixed(0)} ms; ${JSON.stringify(result)}`,
  );
  assert.ok(result.fresh > 100, `only ${result.fresh} requests on fresh connections`);
  assert.ok(result.kept > 100, `only ${result.kept} requests on kept connections`);
  assert.deepEqual(result.failures, []);
});

test("a port in use is found before HAProxy is told, and the old file stays", async (t) => {
  const { applier, front, webs, path, haproxy } = await serving(t, { webs: 1 });
  const before = await readFile(path, "utf8");
  const worker = await workerOf(haproxy);
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  atEnd(t, () => taken.close());
  const { port } = taken.address() as { port: number };

  const binds = [`127.0.0.1:${front.port}`, `127.0.0.1:${port}`];
  const outcome = await applier.apply(
    front(
      webs.map((web) => nodeSlice(web.addr)),
      { frontends: { web: { bind: binds, options: [] } } },
    ),
    signal,
  );

  assert.match(outcome.error, new RegExp(`Cannot bind 127.0.0.1:${port}: another process listens there`));
  assert.equal(await readFile(path, "utf8"), before);
  assert.equal(await workerOf(haproxy), worker);
});

test("a file that HAProxy refuses never replaces the old one, and states still change", async (t) => {
  const { applier, front, webs, path } = await serving(t, { webs: 2 });
  const [first, second] = webs as [WebServer, WebServer];
  const before = await readFile(path, "utf8");

  const outcome = await applier.apply(
    front([nodeSlice(first.addr, { state: "down" }), nodeSlice(second.addr)], {
      backendOptions: ["nonsense word"],
    }),
    signal,
  );

  assert.match(outcome.error, /HAProxy refuses the configuration: .*nonsense/);
  assert.equal(outcome.method, "refused");
  assert.equal(await readFile(path, "utf8"), before);
  assert.deepEqual(await answers(front.port, 6), new Set([String(second.port)]));
});

test("a reload that fails puts the last good file back, and what was decided still holds", async (t) => {
  const { front, webs, path, haproxy, make } = await serving(t, { webs: 2 });
  const [first, second] = webs as [WebServer, WebServer];
  const before = await readFile(path, "utf8");
  // Passes the validator, which is not HAProxy here, and fails in the reload.
  const applier = make({ program: "/bin/true" });

  const outcome = await applier.apply(
    front([nodeSlice(first.addr, { state: "down" }), nodeSlice(second.addr)], {
      backendOptions: ["nonsense word"],
    }),
    signal,
  );

  assert.equal(outcome.method, "restored");
  assert.match(outcome.error, /failed to reload .* was put back/);
  assert.equal(await readFile(path, "utf8"), before);
  assert.deepEqual(await answers(front.port, 6), new Set([String(second.port)]));
  assert.match(await ask(haproxy.masterSocket, "show proc"), /\[failed: 0\]/);
});

test("when HAProxy is killed the new file waits for its return", async (t) => {
  const { applier, front, webs, path, haproxy, masterSocket } = await serving(t, { webs: 2 });
  const [first, second] = webs as [WebServer, WebServer];
  await haproxy.crash();
  const bundle = front([nodeSlice(first.addr, { state: "down" }), nodeSlice(second.addr)]);

  const away = await applier.apply(bundle, signal);
  const again = await startHaproxy({ files: [path], masterSocket });
  atEnd(t, () => again.stop());
  const back = await applier.apply(bundle, signal);

  assert.match(away.error, /is HAProxy running/);
  assert.equal(away.appliedGeneration, bundle.generation);
  assert.equal(away.observedGeneration, "");
  assert.equal(back.error, "");
  assert.equal(back.method, "unchanged");
  assert.equal(back.observedGeneration, bundle.generation);
  assert.deepEqual(await answers(front.port, 6), new Set([String(second.port)]));
});

test("a person's command to HAProxy is seen as drift and mended", async (t) => {
  const { applier, front, webs, haproxy } = await serving(t, { webs: 2 });
  const [first] = webs as [WebServer, WebServer];
  await ask(haproxy.masterSocket, `@1 set server web/${first.addr} state maint`);

  const drifted = await applier.observe();
  const mended = await applier.apply(front(webs.map((web) => nodeSlice(web.addr))), signal);

  assert.notEqual(drifted.observedGeneration, drifted.appliedGeneration);
  assert.match(drifted.error, /state ready/);
  assert.equal(mended.method, "runtime");
  assert.equal((await answers(front.port, 6)).size, 2);
});

test("the mode of the file stays", async (t) => {
  const { applier, front, webs, path } = await serving(t, { webs: 1 });
  await chmod(path, 0o604);

  const outcome = await applier.apply(
    front(webs.map((web) => nodeSlice(web.addr, { overlay: "drain" }))),
    signal,
  );

  assert.equal(outcome.error, "");
  assert.equal((await stat(path)).mode & 0o777, 0o604);
});

test("the stats socket and a reload command serve a marker block in the user's own file", async (t) => {
  const dir = await temporaryFolder(t, "duck-ha-");
  const [first, second] = [await startWebServer(), await startWebServer()];
  atEnd(t, () => Promise.all([first.stop(), second.stop()]));
  const port = await freePort();
  const path = join(dir, "user.cfg");
  const masterSocket = join(dir, "m.sock");
  const statsSocket = join(dir, "s.sock");
  const original = [
    "global",
    `  stats socket ${statsSocket} level admin`,
    "defaults",
    "  mode http",
    "  timeout connect 1s\r",
    "  timeout client 10s",
    "  timeout server 10s",
    "listen mine # of a person",
    `  bind 127.0.0.1:${port}`,
    "    #<servers>",
    `    server old 127.0.0.1:${first.port}`,
    "    #</servers>",
    "  # the end",
    "",
  ].join("\n");
  await writeFile(path, original);
  const haproxy = await startHaproxy({ files: [path], masterSocket, pidFile: join(dir, "pid") });
  atEnd(t, () => haproxy.stop());
  const applier = createHaproxyApplier({
    balancer: "front",
    mode: "marker",
    target: proxyTarget({
      path,
      statsSocket,
      reload: { kind: "command", command: `kill -USR2 ${haproxy.pid}`, timeoutMs: 5_000 },
    }),
    stateDir: join(dir, "state"),
    clock: systemClock,
  });
  const bundle = (nodes: readonly NodeSlice[]): Bundle => bundleOf(haproxyConfig({ mode: "marker" }), nodes);

  const taken = await applier.apply(bundle([nodeSlice(first.addr), nodeSlice(second.addr)]), signal);
  assert.equal(taken.error, "");
  assert.equal(taken.method, "reload");
  assert.equal(taken.observedGeneration, taken.wantedGeneration);
  assert.equal((await answers(port, 6)).size, 2);

  const removed = await applier.apply(
    bundle([nodeSlice(first.addr, { state: "down" }), nodeSlice(second.addr)]),
    signal,
  );
  assert.equal(removed.method, "runtime");
  assert.equal(removed.observedGeneration, removed.wantedGeneration);
  assert.deepEqual(await answers(port, 6), new Set([String(second.port)]));
  const text = await readFile(path, "utf8");
  const [before, after] = original.split(/ {4}#<servers>\n[^]* {4}#<\/servers>\n/);
  assert.ok(
    text.startsWith(`${before}    #<servers>\n    # clusterduck generation ${removed.wantedGeneration}`),
  );
  assert.ok(text.endsWith(`    #</servers>\n${after}`));

  // A person breaks the file outside the block: it is not replaced, and states still change.
  const broken = text.replace("# the end", "nonsense");
  await writeFile(path, broken);
  const kept = await applier.apply(
    bundle([nodeSlice(first.addr), nodeSlice(second.addr, { state: "down" })]),
    signal,
  );
  assert.match(kept.error, /HAProxy refuses the configuration: .*nonsense/);
  assert.equal(await readFile(path, "utf8"), broken);
  assert.deepEqual(await answers(port, 6), new Set([String(first.port)]));

  // A person edits inside the block.
  const edited = text.replace(" disabled", "");
  await writeFile(path, edited);
  const refused = await applier.apply(bundle([nodeSlice(second.addr)]), signal);
  assert.match(refused.error, /edited by hand/);
  assert.equal(await readFile(path, "utf8"), edited);
});

test("a file rendered for many hosts gets this host's stats socket, so that states change without a reload", async (t) => {
  const dir = await temporaryFolder(t, "duck-ha-");
  const web = await startWebServer();
  atEnd(t, () => web.stop());
  const port = await freePort();
  const path = join(dir, "haproxy.cfg");
  const pidFile = join(dir, "pid");
  const target = proxyTarget({
    path,
    statsSocket: join(dir, "s.sock"),
    reload: { kind: "pidFile", path: pidFile },
  });
  const applier = createHaproxyApplier({
    balancer: "front",
    mode: "file",
    target,
    stateDir: join(dir, "state"),
    clock: systemClock,
  });
  const config = haproxyConfig({
    deliver: "agents",
    frontends: { web: { bind: [`127.0.0.1:${port}`], options: [] } },
  });
  await applier.apply(bundleOf(config, [nodeSlice(web.addr)]), signal);
  const haproxy = await startHaproxy({ files: [path], masterSocket: join(dir, "m.sock"), pidFile });
  atEnd(t, () => haproxy.stop());
  const worker = await workerOf(haproxy);

  const outcome = await applier.apply(bundleOf(config, [nodeSlice(web.addr, { state: "down" })]), signal);

  assert.deepEqual([outcome.error, outcome.method], ["", "runtime"]);
  assert.equal(outcome.observedGeneration, outcome.wantedGeneration);
  assert.equal(await workerOf(haproxy), worker);
  assert.deepEqual(await applier.observe(), {
    appliedGeneration: outcome.wantedGeneration,
    observedGeneration: outcome.wantedGeneration,
    error: "",
  });
});

test("with reload none the operator is told to reload, until HAProxy runs the file", async (t) => {
  const { front, webs, haproxy, make } = await serving(t, { webs: 1 });
  const applier = make({
    reload: { kind: "none" },
    statsSocket: haproxy.masterSocket.replace("m.sock", "s.sock"),
  });
  const bundle = front(
    webs.map((web) => nodeSlice(web.addr)),
    { backendOptions: ["http-reuse safe"] },
  );

  const told = await applier.apply(bundle, signal);
  await ask(haproxy.masterSocket, "reload");
  const deadlineMs = performance.now() + 5_000;
  let after = await applier.apply(bundle, signal);
  while (after.error !== "" && performance.now() < deadlineMs) after = await applier.apply(bundle, signal);

  assert.match(
    told.error,
    /HAProxy does not run it yet .*: reload HAProxy by hand, because "reload" is none/,
  );
  assert.deepEqual([after.error, after.observedGeneration], ["", after.wantedGeneration]);
});

test("SIGUSR2 by pid file reloads, and an include file stands beside the user's own", async (t) => {
  const dir = await temporaryFolder(t, "duck-ha-");
  const web = await startWebServer();
  atEnd(t, () => web.stop());
  const port = await freePort();
  const main = join(dir, "main.cfg");
  const path = join(dir, "backends.cfg");
  const statsSocket = join(dir, "s.sock");
  await writeFile(
    main,
    [
      "global",
      `  stats socket ${statsSocket} level admin`,
      "defaults",
      "  mode http",
      "  timeout connect 1s",
      "  timeout client 10s",
      "  timeout server 10s",
      "frontend user",
      `  bind 127.0.0.1:${port}`,
      "  use_backend web",
      "",
    ].join("\n"),
  );
  const pidFile = join(dir, "pid");
  const config = haproxyConfig({ mode: "include" });
  const options = {
    balancer: "front",
    mode: "include" as const,
    stateDir: join(dir, "state"),
    clock: systemClock,
  };
  const target = proxyTarget({
    path,
    extraFiles: [main],
    statsSocket,
    reload: { kind: "pidFile", path: pidFile },
  });

  const early = await createHaproxyApplier({ ...options, target }).apply(
    bundleOf(config, [nodeSlice(web.addr, { state: "down" })]),
    signal,
  );
  const haproxy = await startHaproxy({ files: [main, path], masterSocket: join(dir, "m.sock"), pidFile });
  atEnd(t, () => haproxy.stop());
  const backup = nodeSlice(web.addr, { attributes: { weight: 5, backup: true } });
  const outcome = await createHaproxyApplier({ ...options, target }).apply(
    bundleOf(config, [backup]),
    signal,
  );

  assert.match(early.error, /is HAProxy running/);
  assert.equal(outcome.error, "");
  assert.equal(outcome.method, "reload");
  assert.equal(outcome.observedGeneration, outcome.wantedGeneration);
  assert.deepEqual(await answers(port, 2), new Set([String(web.port)]));
});

/** Requests on fresh connections and on kept ones, one after the other on each, until `end`. */
function startLoad(port: number): {
  end(): Promise<{ fresh: number; kept: number; failures: readonly string[] }>;
} {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  const failures: string[] = [];
  const counts = { fresh: 0, kept: 0 };
  let isRunning = true;
  const run = async (kind: "fresh" | "kept"): Promise<void> => {
    while (isRunning) {
      try {
        await fetchText(port, kind === "kept" ? agent : undefined);
        counts[kind]++;
      } catch (thrown) {
        failures.push(`${kind}: ${String(thrown)}`);
      }
      // Leaves the processor to HAProxy, which shares it.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const loops = Promise.all([run("fresh"), run("fresh"), run("kept"), run("kept")]);
  return {
    end: async () => {
      isRunning = false;
      await loops;
      agent.destroy();
      return { ...counts, failures };
    },
  };
}
