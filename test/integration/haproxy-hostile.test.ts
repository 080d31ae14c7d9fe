/** What an operator, or an accident, does to the places that delivery works in. */
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { nodeSlice } from "../support/haproxy-views.js";
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
