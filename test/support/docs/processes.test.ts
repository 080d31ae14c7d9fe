import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { endProcessesOf, processesOf, RUN_VARIABLE } from "./processes.js";

test("endProcessesOf() ends a descendant that no longer shows the mark", async () => {
  const run = `unmarked-${process.pid}`;
  const parent = spawn("sh", ["-c", `env -i sleep 600 & echo $!; wait`], {
    env: { PATH: process.env["PATH"], [RUN_VARIABLE]: run },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const child = Number(line.toString());
  const before = processesOf(run);

  await endProcessesOf(run);

  assert.ok(before.includes(child), "it was found as a child");
  assert.ok(hasEnded(child), "it runs on");
});

/** Whoever adopts an orphan may take its time to reap it. */
function hasEnded(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return true;
  return / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}
