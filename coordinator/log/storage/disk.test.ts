import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ClusterduckError } from "../../../common/errors.js";
import { realDisk } from "./disk.js";

test("a data directory that cannot be made is an error that says what would work", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "duck-disk-"));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "file"), "");

  for (const path of [join(folder, "file"), join(folder, "file", "below")]) {
    await assert.rejects(realDisk.makeDirectory(path), (error) => {
      assert.ok(error instanceof ClusterduckError && error.code === "DISK_FAILED");
      assert.ok(error.message.includes(`"${path}"`), error.message);
      assert.match(error.hint ?? "", /set coordinator\.data_dir to/i);
      return true;
    });
  }
});
