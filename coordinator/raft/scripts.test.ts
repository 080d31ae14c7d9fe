/** Scripts: the core's behaviour as stories. `UPDATE_SCRIPTS=1` writes what happened; then read the diff. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { runScript } from "../../test/support/raft/script.js";

const FOLDER = new URL("scripts/", import.meta.url);

for (const file of readdirSync(FOLDER).sort()) {
  test(`the core does what scripts/${file} tells`, () => {
    const path = new URL(file, FOLDER);
    const expected = readFileSync(path, "utf8");

    const actual = runScript(expected);

    if (process.env["UPDATE_SCRIPTS"] === "1") writeFileSync(path, actual);
    else assert.equal(actual, expected);
  });
}
