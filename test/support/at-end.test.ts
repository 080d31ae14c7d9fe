import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import { atEnd, temporaryFolder } from "./at-end.js";

test("what was made last ends first, and the next waits for it", async () => {
  const { t, end } = fakeTest();
  const ended: string[] = [];
  const folder = await temporaryFolder(t);
  atEnd(t, async () => {
    await delay(5);
    // As a server does that still makes its socket while it is stopped.
    writeFileSync(join(folder, "socket"), "");
    ended.push("server");
  });
  atEnd(t, () => ended.push("client"));

  await end();

  assert.deepEqual(ended, ["client", "server"]);
  assert.equal(existsSync(folder), false);
});

test("one that fails is told, and the others end all the same", async () => {
  const { t, end } = fakeTest();
  const ended: string[] = [];
  atEnd(t, () => ended.push("folder"));
  atEnd(t, () => {
    throw new Error("it did not stop");
  });

  await assert.rejects(end(), /it did not stop/);

  assert.deepEqual(ended, ["folder"]);
});

/** A test of which the end is ours to choose; as in node:test, its hooks run in the order of registration. */
function fakeTest() {
  const hooks: (() => unknown)[] = [];
  const after = (hook: unknown): void => void hooks.push(hook as () => unknown);
  return {
    t: { after },
    end: async (): Promise<void> => {
      for (const hook of hooks) await hook();
    },
  };
}
