/** What an operator, or an accident, does to the places that delivery works in. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { createHaproxyApplier } from "../../appliers/haproxy/applier.js";
import { systemClock } from "../../common/clock.js";
import { nodeSlice, proxyTarget } from "../support/haproxy-views.js";
import { answers, serving } from "../support/haproxy-serving.js";

const signal = new AbortController().signal;

test("a directory in the file's place is named, and a server that died goes all the same", async (t) => {
  const { applier, front, webs, path } = await serving(t, { webs: 2 });
  const [dead = "", alive = ""] = webs.map((web) => web.addr);
  await rm(path);
  await mkdir(path);

  const bundle = front([nodeSlice(dead, { state: "down" }), nodeSlice(alive)]);
  const refused = await applier.apply(bundle, signal);

  assert.match(refused.error, /Cannot read ".*haproxy\.cfg": .*give the path of a file, this is a directory/);
  assert.deepEqual(await answers(front.port, 4), new Set([String(webs[1]?.port)]));
  await rmdir(path);
  const mended = await applier.apply(bundle, signal);
  assert.deepEqual([mended.error, mended.observedGeneration], ["", bundle.generation]);
});

test("a program that is not HAProxy is named with its last words, and the old file stays", async (t) => {
  const { front, webs, path, make } = await serving(t, { webs: 1 });
  const before = await readFile(path, "utf8");
  const program = join(dirname(path), "other");
  await writeFile(program, "#!/bin/sh\necho what is this\nexit 127\n");
  await chmod(program, 0o755);

  const refused = await make({ program }).apply(
    front(
      webs.map((web) => nodeSlice(web.addr)),
      { backendOptions: ["http-reuse safe"] },
    ),
    signal,
  );

  assert.match(refused.error, /other -c" ended with exit code 127 .*what is this; is "program" HAProxy\?/);
  assert.equal(await readFile(path, "utf8"), before);
});

test("of two that manage one file the second is refused, until the first has gone or given it up", async (t) => {
  const { front, webs, path, make } = await serving(t, { webs: 1 });
  const before = await readFile(path, "utf8");
  let wallMs = Date.now();
  const rival = createHaproxyApplier({
    balancer: "front",
    mode: "file",
    target: proxyTarget({ path, reload: { kind: "master", socket: join(dirname(path), "m.sock") } }),
    stateDir: join(dirname(path), "of-the-rival"),
    clock: { ...systemClock, wallMs: () => wallMs },
  });
  const other = () =>
    front(
      webs.map((web) => nodeSlice(web.addr)),
      { backendOptions: ["http-reuse safe"] },
    );

  const refused = await rival.apply(other(), signal);
  const still = await make().apply(front(webs.map((web) => nodeSlice(web.addr))), signal);
  wallMs += 61_000;
  const takenOver = await rival.apply(other(), signal);

  assert.match(
    refused.error,
    new RegExp(`process ${process.pid} does already \\(state directory ".*state"\\); stop one of the two`),
  );
  assert.deepEqual([still.error, still.method], ["", "unchanged"]);
  assert.equal(takenOver.error, "");
  assert.notEqual(await readFile(path, "utf8"), before);
  assert.deepEqual(await answers(front.port, 2), new Set([String(webs[0]?.port)]));
});

test("a validator that hangs does not keep a later death from HAProxy", async (t) => {
  const { front, webs, path, make } = await serving(t, { webs: 2 });
  const [dead = "", alive = ""] = webs.map((web) => web.addr);
  const program = join(dirname(path), "hanging");
  await writeFile(program, `#!/bin/sh\n: > ${program}.began\nexec sleep 1000\n`);
  await chmod(program, 0o755);
  const applier = make({ program });
  const hanging = applier.apply(
    front([nodeSlice(dead), nodeSlice(alive)], { backendOptions: ["http-reuse safe"] }),
    signal,
  );
  await until(async () => existsSync(`${program}.began`));
  const stop = new AbortController();

  const startedMs = performance.now();
  const later = applier.apply(front([nodeSlice(dead, { state: "down" }), nodeSlice(alive)]), stop.signal);
  const refused = await hanging;
  await until(async () => (await answers(front.port, 4)).size === 1);
  const tookMs = performance.now() - startedMs;
  stop.abort();
  await later;

  assert.match(refused.error, /hanging -c" took more than 5 s .* while a newer one waited/);
  assert.ok(tookMs < 15_000, `the dead server left HAProxy after ${tookMs} ms`);
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 40_000;
  while (!(await holds())) {
    assert.ok(performance.now() < deadlineMs, "not within 40 s");
    await systemClock.sleep(10);
  }
}
