import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, lstat, readFile, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { temporaryFolder } from "../../test/support/at-end.js";
import { readOrNull, stageFile } from "./replace-file.js";

test("the old file stays until the commit, and its mode stays after it", async (t) => {
  const dir = await temporaryFolder(t);
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
  const dir = await temporaryFolder(t);
  const path = join(dir, "x.cfg");

  await stageFile(path, "crashed", 0o640);
  const staged = await stageFile(path, "again", 0o640);
  await staged.discard();

  assert.deepEqual(await readdir(dir), []);
});

test("a symbolic link stays and its target is replaced", async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, "real.cfg"), "old");
  await symlink("real.cfg", join(dir, "link.cfg"));

  await (await stageFile(join(dir, "link.cfg"), "new", 0o640)).commit();

  assert.equal((await lstat(join(dir, "link.cfg"))).isSymbolicLink(), true);
  assert.equal(await readFile(join(dir, "real.cfg"), "utf8"), "new");
});

test("a symbolic link to a file that is missing stays, and the file is made where it leads", async (t) => {
  const dir = await temporaryFolder(t);
  await symlink("real.cfg", join(dir, "link.cfg"));

  await (await stageFile(join(dir, "link.cfg"), "new", 0o640)).commit();

  assert.equal((await lstat(join(dir, "link.cfg"))).isSymbolicLink(), true);
  assert.equal(await readFile(join(dir, "real.cfg"), "utf8"), "new");
});

test("a pipe in the file's place is refused rather than read for ever, and a link to itself is named", async (t) => {
  const dir = await temporaryFolder(t);
  execFileSync("mkfifo", [join(dir, "pipe")]);
  await symlink("loop", join(dir, "loop"));

  await assert.rejects(
    readOrNull(join(dir, "pipe")),
    /pipe": it is no ordinary file: remove what stands there/,
  );
  await assert.rejects(readOrNull(join(dir, "loop")), /the symbolic link leads back to itself/);
});

test("a place that cannot be written or read is named, with what would work", async (t) => {
  const dir = await temporaryFolder(t);

  await assert.rejects(stageFile(join(dir, "missing", "x.cfg"), "new", 0o640), {
    code: "DISK_FAILED",
    message: /Cannot write ".*x\.cfg": ENOENT.*: make the directory ".*missing", or change the path/,
  });
  await assert.rejects(readOrNull(dir), {
    code: "DISK_FAILED",
    message: /Cannot read ".*": EISDIR.*: give the path of a file, this is a directory/,
  });
});
