import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { claimPidFile } from "./daemon/pid-file.js";
import { irregularFile } from "./irregular-file.js";

test("what is no regular file is named, and no pid file is put in its place", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "duck-irregular-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [file, pipe, link] = ["file", "pipe", "link"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(file, "");
  execFileSync("mkfifo", [pipe]);
  symlinkSync(file, link);

  assert.equal(irregularFile(file), null);
  assert.equal(irregularFile(join(folder, "none")), null);
  assert.equal(irregularFile("/dev/null"), "a device");
  assert.equal(irregularFile(folder), "a directory");
  for (const [path, what] of [
    [pipe, "a named pipe"],
    [link, `a symbolic link to "${file}"`],
  ] as const) {
    assert.equal(irregularFile(path), what);
    assert.throws(() => claimPidFile(path, "duck-test"), {
      code: "DISK_FAILED",
      message: `Cannot write pid file "${path}": it is ${what}`,
    });
    assert.equal(irregularFile(path), what);
  }
});
