import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/at-end.js";
import { beginIncarnation, newTierFile, readTierFile, writeTierFile } from "./tier-file.js";

test("a file that was written before there were incarnations is of the first one", async (t) => {
  const directory = await temporaryFolder(t, "duck-tier-");
  const file = { ...newTierFile("c1"), clusterId: "k1", hasLog: true };
  await writeTierFile(directory, file);
  const path = join(directory, "tier.json");
  const text = await readFile(path, "utf8");

  await writeFile(path, text.replace(/ *"incarnation": "",\n/, ""));

  assert.doesNotMatch(await readFile(path, "utf8"), /incarnation/);
  assert.deepEqual(await readTierFile(directory), file);
});

test("a new incarnation changes nothing else, and makes no file where there is none", async (t) => {
  const directory = await temporaryFolder(t, "duck-tier-");
  await beginIncarnation(directory);
  assert.equal(await readTierFile(directory), null);
  const file = { ...newTierFile("c1"), clusterId: "k1", hasLog: true };
  await writeTierFile(directory, file);

  await beginIncarnation(directory);

  const { incarnation = "", ...rest } = (await readTierFile(directory)) ?? file;
  assert.match(incarnation, /^[0-9a-f]{16}$/);
  assert.deepEqual({ ...rest, incarnation: "" }, file);
});
