import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { lockDirectory } from "./directory-lock.js";

test("a held directory is refused, naming the pid, and free again after its release", async (context) => {
  const directory = await temporaryDirectory(context);
  const lock = await lockDirectory(directory);

  await assert.rejects(lockDirectory(directory), {
    code: "LOG_LOCKED",
    message: new RegExp(`pid ${process.pid} `),
  });
  await lock.release();
  await (await lockDirectory(directory)).release();

  assert.deepEqual(await readdir(directory), []);
});

test("the lock of a process that was killed is taken over", async (context) => {
  const directory = await temporaryDirectory(context);
  const script = `
    import("${new URL("./directory-lock.ts", import.meta.url).href}").then(async ({ lockDirectory }) => {
      await lockDirectory(${JSON.stringify(directory)});
      console.log("locked");
      setInterval(() => undefined, 1_000);
    });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const whileAlive = await lockDirectory(directory).catch((thrown: unknown) => thrown);

  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = await lockDirectory(directory);

  assert.match(String(whileAlive), new RegExp(`pid ${child.pid} `));
  await lock.release();
});

test("a later process with the same pid does not count as the holder", async (context) => {
  const directory = await temporaryDirectory(context);
  const mine = await lockDirectory(directory);
  const holder = JSON.parse(await readFile(join(directory, "LOCK"), "utf8")) as Record<string, unknown>;
  await mine.release();
  const older = { ...holder, startedAt: "1", nonce: "00000000-0000-4000-8000-000000000000" };
  await writeFile(join(directory, "LOCK"), JSON.stringify(older));

  const lock = await lockDirectory(directory);

  await lock.release();
});

test("of many that find a dead holder, one gets the lock", async (context) => {
  const directory = await temporaryDirectory(context);
  const dead = {
    pid: 1,
    startedAt: "gone",
    bootId: "another",
    nonce: "00000000-0000-4000-8000-000000000001",
  };
  for (let round = 0; round < 20; round++) {
    await writeFile(join(directory, "LOCK"), JSON.stringify(dead));

    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(directory)));

    const won = outcomes.filter((outcome) => outcome.status === "fulfilled");
    assert.equal(won.length, 1);
    await won[0]?.value.release();
  }
});

test("half a lock file, left by a crash, does not keep anyone out", async (context) => {
  const directory = await temporaryDirectory(context);
  await writeFile(join(directory, "LOCK"), '{"pid":12');

  const lock = await lockDirectory(directory);

  await lock.release();
});

async function temporaryDirectory(context: { after(callback: () => Promise<void>): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "duck-lock-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
