/** Every golden file is a configuration that the real HAProxy takes. */
import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { validateConfiguration } from "../../appliers/haproxy/validate.js";
import { temporaryFolder } from "../support/at-end.js";
import { GOLDEN_DIRECTORY, goldenViews } from "../support/haproxy-golden.js";

/** The user's own file beside an include file or around a marker block. */
const MAIN = [
  "defaults",
  "  mode http",
  "  timeout connect 1s",
  "  timeout client 1s",
  "  timeout server 1s",
  "frontend user",
  "  bind 127.0.0.1:18082",
  "",
].join("\n");

for (const name of Object.keys(goldenViews)) {
  test(`HAProxy takes ${name}.cfg`, async (t) => {
    const dir = await temporaryFolder(t, "duck-golden-");
    const text = await readFile(join(GOLDEN_DIRECTORY, `${name}.cfg`), "utf8");
    const hasListener = text.includes("  bind ");
    const main = join(dir, "main.cfg");
    const path = join(dir, "golden.cfg");
    await writeFile(main, MAIN);
    await writeFile(
      path,
      text.replaceAll(/#<servers (\w+)>/g, "backend $1").replaceAll("/run/haproxy/", `${dir}/`),
    );

    const validation = await validateConfiguration({
      program: "haproxy",
      temporaryPath: path,
      path,
      extraFiles: hasListener ? [] : [main],
      signal: new AbortController().signal,
    });

    assert.equal(validation.kind, "valid", JSON.stringify(validation));
    // "log global" without a log server, and nothing else.
    assert.deepEqual(
      validation.warnings.filter((warning) => !/cookie|log/.test(warning)),
      [],
    );
  });
}

test("every golden file has a view", async () => {
  const files = await readdir(GOLDEN_DIRECTORY);

  assert.deepEqual(
    files.sort(),
    Object.keys(goldenViews)
      .map((name) => `${name}.cfg`)
      .sort(),
  );
});
