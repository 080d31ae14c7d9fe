import assert from "node:assert/strict";
import { chmod, lstat, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { readOrNull, stageFile } from "./replace-file.js";

async function workDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "duck-replace-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

test("the old file stays until the commit, and its mode stays after it", async (t) => {
  const dir = await workDir(t);
  const path = join(dir, "x.cfg");
  await writeFile(path, "old");
  await chmod(path, 0o604);

  const staged = await stageFile(path, "new", 0o640);
  assert.equal(await readFile(path, "utf8"), "old");
  assert.equal(await readFile(staged.temporaryPath, "utf8"), "new");
  await staged.commit();

  assert.equal(await readFile(path, "utf8"), "new");
  assert.equal((await stat(path)).mode & 0o7777, 0o604);
  assert.deepEqual(await readdir(dir), ["x.cfg"]);
});

test("a discarded file leaves nothing behind, nor does one that a crash left", async (t) => {
  const dir = await workDir(t);
  const path = join(dir, "x.cfg");

  await stageFile(path, "crashed", 0o640);
  const staged = await stageFile(path, "again", 0o640);
  await staged.discard();

  assert.deepEqual(await readdir(dir), []);
});

test("a symbolic link stays and its target is replaced", async (t) => {
  const dir = await workDir(t);
  await writeFile(join(dir, "real.cfg"), "old");
  await symlink("real.cfg", join(dir, "link.cfg"));

  await (await stageFile(join(dir, "link.cfg"), "new", 0o640)).commit();

  assert.equal((await lstat(join(dir, "link.cfg"))).isSymbolicLink(), true);
  assert.equal(await readFile(join(dir, "real.cfg"), "utf8"), "new");
});

test("a place that cannot be written or read is named, with what would work", async (t) => {
  const dir = await workDir(t);

  await assert.rejects(stageFile(join(dir, "missing", "x.cfg"), "new", 0o640), {
    code: "DISK_FAILED",
    message: /Cannot write ".*x\.cfg": ENOENT.*: make the directory ".*missing", or change the path/,
  });
  await assert.rejects(readOrNull(dir), {
    code: "DISK_FAILED",
    message: /Cannot read ".*": EISDIR.*: give the path of a file, this is a directory/,
  });
});
