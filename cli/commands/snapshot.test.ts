import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { lstatSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runDuckctl } from "../../test/support/duckctl.js";

test("a snapshot takes no place of what is no regular file, whether or not a coordinator answers", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "duck-snapshot-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [pipe, link] = [join(folder, "pipe"), join(folder, "link")];
  execFileSync("mkfifo", [pipe]);
  symlinkSync("/nowhere/else", link);
  const save = (file: string) => runDuckctl(["-s", "127.0.0.1:1", "snapshot", "save", file]);

  for (const [file, what] of [
    [pipe, "a named pipe"],
    [link, 'a symbolic link to "/nowhere/else"'],
    ["/dev/null", "a device"],
  ] as const) {
    const { code, err } = await save(file);
    assert.equal(code, 2);
    assert.ok(err.includes(`Cannot write "${file}": it is ${what}, which a snapshot would replace`), err);
    assert.ok(!lstatSync(file).isFile());
  }
  assert.equal((await save(join(folder, "new"))).code, 4);
});
