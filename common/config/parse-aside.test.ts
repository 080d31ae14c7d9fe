import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfigText } from "./load.js";
import { parseConfigAside } from "./parse-aside.js";

const NAME = "/etc/clusterduck/clusterduck.yaml";
const ENV = { PORT: "81" };

function yamlOf(nodes: number, last = ""): string {
  const addrs = Array.from({ length: nodes }, (_, at) => `      - 10.1.${at >> 8}.${at & 255}:\${PORT}`);
  return `clusters:\n  web:\n    type: http\n    nodes:\n${addrs.join("\n")}\n${last}`;
}

for (const [size, nodes] of [
  ["small", 3],
  ["large", 5_000],
] as const) {
  test(`a ${size} configuration is the same as when it is read at once`, async () => {
    assert.deepEqual(
      await parseConfigAside(yamlOf(nodes), NAME, ENV),
      parseConfigText(yamlOf(nodes), NAME, ENV),
    );
  });

  test(`the problems of a ${size} configuration are the same as when it is read at once`, async () => {
    const text = yamlOf(nodes, "    polciy: {}\nclustres: {}\n");
    const read = () => parseConfigText(text, NAME, ENV);

    const found = await parseConfigAside(text, NAME, ENV).catch((error: unknown) => error);

    assert.throws(read, found as Error);
    assert.match(String(found), /polciy[\s\S]*clustres/);
  });
}

test("a text that is too large is refused with the same words", async () => {
  await assert.rejects(parseConfigAside("#".repeat(17 * 1024 * 1024), NAME, ENV), {
    code: "CONFIG_UNREADABLE",
    message: /at most 16 MiB/,
    hint: "Is it the right file?",
  });
});

test("whoever waits for a large configuration goes on meanwhile", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 5);

  await parseConfigAside(yamlOf(20_000), NAME, ENV);

  clearInterval(timer);
  assert.ok(turns >= 20, `${turns} turns of the event loop`);
});
