import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { runDuckctl } from "../test/support/duckctl.js";
import { contextOf } from "./connection.js";
import { contextsFile, readContexts } from "./contexts.js";

function home(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "duck-contexts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const env = { HOME: folder };
  return { env, file: contextsFile(env), run: (...args: string[]) => runDuckctl(args, { env }) };
}

test("contexts are kept, chosen and forgotten", async (t) => {
  const { env, file, run } = home(t);

  assert.equal((await run("contexts", "list")).err, `No contexts in ${file}\n`);
  await run(
    "contexts",
    "set",
    "prod",
    "--server",
    "c1.example",
    "--cacert",
    "/a",
    "--cert",
    "/b",
    "--key",
    "/c",
  );
  await run("contexts", "set", "test", "--server", "10.0.0.1:7400");

  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal((await run("contexts", "list", "-o", "name")).out, "prod\ntest\n");
  assert.deepEqual(contextOf({}, env), { server: "c1.example:7400", cacert: "/a", cert: "/b", key: "/c" });
  assert.equal(contextOf({ context: "test" }, env).server, "10.0.0.1:7400");
  assert.equal(contextOf({}, { ...env, DUCK_CONTEXT: "test" }).server, "10.0.0.1:7400");

  // What is not said again stays.
  await run("contexts", "set", "prod", "--server", "c2.example");
  await run("contexts", "use", "test");
  assert.equal(contextOf({}, env).server, "10.0.0.1:7400");
  assert.deepEqual(contextOf({ context: "prod" }, env).cert, "/b");
  await run("contexts", "remove", "test");
  assert.deepEqual(contextOf({}, env), {});
});

test("a context that there is not is told with those that there are", async (t) => {
  const { run } = home(t);
  await run("contexts", "set", "prod", "--server", "c1.example");

  const answer = await run("status", "--context", "prd");

  assert.equal(answer.code, 3);
  assert.match(answer.err, /No context "prd": there are "prod"/);
});

test("a file that is none of contexts is refused with its name", (t) => {
  const { env, run, file } = home(t);
  return run("contexts", "set", "a", "--server", "x").then(() => {
    for (const [text, message] of [
      ["contexts: {a: {sever: x}}", /contexts\.a: .*"sever"/],
      ["current: b\ncontexts: {a: {}}", /there is no context "b"/],
      ["[", /Cannot use contexts of/],
    ] as const) {
      writeFileSync(file, text);
      assert.throws(() => readContexts(env), { code: "CONFIG_INVALID", message });
    }
  });
});

test("paths count from the file's own folder", (t) => {
  const { env } = home(t);
  const file = join(env.HOME, "mine.yaml");
  writeFileSync(file, "contexts: {a: {cacert: ca.crt}}");

  assert.equal(readContexts({ DUCK_CONTEXTS: file }).contexts["a"]?.cacert, join(env.HOME, "ca.crt"));
});
