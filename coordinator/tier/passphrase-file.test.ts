import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/at-end.js";
import { readPassphraseFile } from "./passphrase-file.js";

test("a passphrase is read without the line break behind it, also through a symbolic link", async (t) => {
  const folder = await temporaryFolder(t, "duck-passphrase-");
  const [file, link] = [join(folder, "file"), join(folder, "link")];
  await writeFile(file, " with spaces \r\n");
  await symlink(file, link);

  assert.equal(await readPassphraseFile(file), " with spaces ");
  assert.equal(await readPassphraseFile(link), " with spaces ");
});

test(
  "what is no file, or no passphrase's, is refused at once with its name and what it is",
  { timeout: 10_000 },
  async (t) => {
    const folder = await temporaryFolder(t, "duck-passphrase-");
    const [pipe, large] = [join(folder, "pipe"), join(folder, "large")];
    execFileSync("mkfifo", [pipe]);
    await writeFile(large, "x".repeat(16_385));

    for (const [file, problem] of [
      ["/dev/zero", "it is a device, not a regular file"],
      [folder, "it is a directory, not a regular file"],
      [pipe, "it is a named pipe, not a regular file"],
      [large, "it has 16385 bytes, expected at most 16384"],
    ] as const) {
      await assert.rejects(readPassphraseFile(file), {
        code: "CONFIG_INVALID",
        message: `Cannot use passphrase_file "${file}": ${problem}`,
        hint: /openssl rand -base64 24 > FILE/,
      });
    }
    await assert.rejects(readPassphraseFile(join(folder, "none")), {
      code: "CONFIG_UNREADABLE",
      message: /passphrase_file ".*none": there is no such file/,
    });
  },
);
