import assert from "node:assert/strict";
import { test } from "node:test";

import { findBlocks, replaceBlocks } from "./marker-block.js";
import { fc } from "../../test/support/properties.js";

const generation = "a".repeat(64);
const web = new Map([["web", ["server a 10.0.0.1:80", "server b 10.0.0.2:80 disabled"]]]);

function replaced(text: string, adopted: readonly string[] | null = null) {
  const result = replaceBlocks(text, web, { generation, adopted });
  assert.equal(result.kind, "replaced", JSON.stringify(result));
  return result;
}

function problemOf(text: string, adopted: readonly string[] | null = null, wanted = web): string {
  const result = replaceBlocks(text, wanted, { generation, adopted });
  assert.equal(result.kind, "refused", JSON.stringify(result));
  return result.problem;
}

test("the lines take the indentation and line ending of the marker, and nothing outside changes", () => {
  const text = "global\r\nbackend x\n\t#<servers>\r\n\told\r\n  #</servers>\nrest without newline";

  const { text: next } = replaced(text);

  const header = `# clusterduck generation ${generation} checksum 0123456789abcdef: edit outside the markers only`;
  assert.equal(
    next.replace(/checksum [0-9a-f]{16}/, "checksum 0123456789abcdef"),
    `global\r\nbackend x\n\t#<servers>\r\n\t${header}\r\n\tserver a 10.0.0.1:80\r\n\tserver b 10.0.0.2:80 disabled\r\n  #</servers>\nrest without newline`,
  );
});

test("replacing twice gives the same text", () => {
  const once = replaced("#<servers>\n#</servers>\n");

  assert.equal(replaced(once.text, once.adopted).text, once.text);
});

test("a named block takes its cluster, and several blocks are all filled", () => {
  const { text } = replaced("#<servers web>\n#</servers>\n#<servers>\n#</servers>\n");

  assert.equal(text.split("server a 10.0.0.1:80").length, 3);
});

test("a person's edit inside is refused, and an emptied block is taken back", () => {
  const first = replaced("#<servers>\n#</servers>\n");
  const edited = first.text.replace("10.0.0.1", "10.0.0.9");

  assert.match(problemOf(edited, first.adopted), /line 1 were edited by hand: .*empty the block/);
  assert.match(problemOf(first.text.replace(/# clusterduck.*\n/, ""), first.adopted), /edited by hand/);
  assert.equal(replaced("#<servers>\n#</servers>\n", first.adopted).text, first.text);
});

test("lines of a file that was never ours are taken over, also when they are put back later", () => {
  const original = "#<servers>\nserver seed 10.0.0.7:80\n#</servers>\n";
  const first = replaced(original);

  assert.equal(replaced(original, first.adopted).text, first.text);
});

test("broken markers are refused with what would work", () => {
  assert.match(problemOf("backend x\n"), /no marker block: add the lines/);
  assert.match(problemOf("#<servers>\n#<servers>\n#</servers>\n"), /line 2 opens a marker block inside/);
  assert.match(problemOf("#<servers>\n"), /line 1 has no "#<\/servers>"/);
  assert.match(problemOf("#</servers>\n"), /without a "#<servers>" before it/);
  assert.match(
    problemOf("#<servers api>\n#</servers>\n"),
    /cluster "api", which the balancer does not serve: use one of web/,
  );
  const two = new Map([...web, ["api", []]]);
  assert.match(problemOf("#<servers>\n#</servers>\n", null, two), /names no cluster, and the balancer has 2/);
  assert.match(problemOf("#<servers web>\n#</servers>\n", null, two), /no marker block for cluster "api"/);
});

test("whatever stands outside the markers stays byte for byte", () => {
  const noise = fc.string({ unit: "binary" }).filter((text) => !text.includes("#<"));
  fc.assert(
    fc.property(noise, noise, noise, (before, inside, after) => {
      const text = `${before}\n#<servers>\n${inside}\n#</servers>\n${after}`;
      const result = replaceBlocks(text, web, { generation, adopted: null });

      assert.equal(result.kind, "replaced");
      assert.ok(result.text.startsWith(`${before}\n#<servers>\n# clusterduck generation`));
      assert.ok(result.text.endsWith(`\n#</servers>\n${after}`));
      const search = findBlocks(result.text);
      assert.equal(
        search.kind === "found" && search.blocks[0]?.header?.checksum,
        search.kind === "found" && search.blocks[0]?.checksum,
      );
    }),
  );
});
