/** The documentation is true: its commands run, its configurations load, its links lead somewhere. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";

import { loadConfig } from "../common/config/load.js";
import { messageOf } from "../common/errors.js";
import { configJsonSchema } from "../common/config/json-schema.js";
import { anchorsOf, blocksOf, linksOf } from "./support/docs/markdown.js";
import { defaultOf, keysOf, propertiesAt } from "./support/docs/schema-keys.js";
import { tablesOf } from "./support/docs/tables.js";
import { followPage } from "./support/docs/follow.js";
import { stepsOf } from "./support/docs/steps.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGES = ["README.md", ...listPages(join(ROOT, "docs"))];

const REFERENCE = ["docs/reference/configuration.md", "docs/reference/checks.md"];

for (const page of PAGES) {
  const blocks = blocksOf(read(page));
  const steps = blocks.flatMap((block) => stepsOf(block)).filter((step) => step.kind !== "write");
  if (steps.length === 0) continue;

  test(`${page}: every command does what the page says`, async (t) => {
    await followPage(t, blocks, page);
  });
}

test("every configuration in the documentation loads", () => {
  for (const page of PAGES) {
    for (const { language, lines, lineNumber } of blocksOf(read(page))) {
      if (language !== "yaml") continue;
      const [first = ""] = lines;
      const place = /^# fragment of ([\w.-]+)$/.exec(first)?.[1];
      assert.ok(place !== undefined || !first.startsWith("# fragment"), `${page}:${lineNumber}: ${first}`);
      const text = place === undefined ? lines.join("\n") : wrap(lines.join("\n"), place);
      try {
        loadConfig({ text, fileName: join(ROOT, `${page}:${lineNumber}`), env: {} });
      } catch (thrown) {
        assert.fail(`${page}:${lineNumber}: ${messageOf(thrown)}`);
      }
    }
  }
});

test("every link leads to a file, and to a heading in it", () => {
  const broken = PAGES.flatMap((page) =>
    linksOf(read(page)).flatMap(({ target, lineNumber }) => {
      if (/^(https?|mailto):/.test(target)) return [];
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
      if (!existsSync(file)) return [`${page}:${lineNumber}: no file ${target}`];
      if (anchor === undefined || anchorsOf(readFileSync(file, "utf8")).has(anchor)) return [];
      return [`${page}:${lineNumber}: no heading ${target}`];
    }),
  );

  assert.deepEqual(broken, []);
});

test("the README leads to every page of the documentation", () => {
  const linked = new Set(linksOf(read("README.md")).map(({ target }) => target));
  const isLinked = (page: string): boolean => linked.has(page) || linked.has(`${dirname(page)}/`);

  assert.deepEqual(
    PAGES.filter((page) => page !== "README.md" && !isLinked(page)),
    [],
  );
});

test("the reference names every key of the configuration and of every check, and no other", () => {
  const described = new Set(
    REFERENCE.flatMap((page) => tablesOf(read(page)).flatMap(({ rows }) => [...rows.keys()])),
  );
  const keys = keysOf(configJsonSchema());

  assert.deepEqual(difference(keys, described), [], "keys that the reference leaves out");
  assert.deepEqual(difference(described, keys), [], "rows about keys that there are not");
});

test("each table of the reference has the keys and the defaults of its part of the schema", () => {
  for (const page of REFERENCE) {
    for (const { place, rows, lineNumber } of tablesOf(read(page))) {
      if (place === null) continue;
      const properties = propertiesAt(configJsonSchema(), place);
      const where = `${page}:${lineNumber}: ${place}`;
      assert.deepEqual([...rows.keys()].sort(), [...properties.keys()].sort(), where);
      for (const [key, cells] of rows) {
        const value = defaultOf(properties.get(key));
        if (value !== null) assert.equal(cells[2], `\`${value}\``, `${where}.${key}`);
      }
    }
  }
});

function difference(left: ReadonlySet<string>, right: ReadonlySet<string>): readonly string[] {
  return [...left].filter((each) => !right.has(each));
}

/** Puts a part of a configuration where it belongs: `clusters.web.health_checks`. */
function wrap(text: string, place: string): string {
  const part: unknown = parseDocument(text).toJS();
  const path = place.split(".");
  const document = parseDocument("{}");
  if (path[0] === "clusters") document.setIn(["clusters", path[1] ?? "", "type"], "http");
  for (const [at] of path.entries()) {
    const above = path.slice(0, at + 1);
    if (at < path.length - 1 && !document.hasIn(above)) document.setIn(above, document.createNode({}));
  }
  const node = document.createNode(part);
  if (path.length === 2 && path[0] === "clusters" && typeof part === "object" && part !== null) {
    for (const [key, value] of Object.entries(part))
      document.setIn([...path, key], document.createNode(value));
  } else document.setIn(path, node);
  return document.toString();
}

function listPages(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}
