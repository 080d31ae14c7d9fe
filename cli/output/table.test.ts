import assert from "node:assert/strict";
import { test } from "node:test";

import { displayWidth, formatTable } from "./table.js";

const GREEN = "\u001b[32mup\u001b[39m";

test("formatTable() aligns columns under colours, empty cells and wide characters", () => {
  const table = formatTable(
    ["NAME", "STATE", "NOTE"],
    [
      ["a", GREEN, "one"],
      ["鸭子", "down", ""],
      ["long-name", "", "three"],
    ],
  );

  const plain = table.replaceAll(GREEN, "up");
  assert.equal(
    plain,
    [
      "NAME       STATE  NOTE",
      "a          up     one",
      "鸭子       down",
      "long-name         three",
      "",
    ].join("\n"),
  );
});

test("formatTable() keeps a value with line breaks and control characters on its line", () => {
  const table = formatTable(["A", "B"], [["x\r\n  y", "bell\u0007"]]);

  assert.equal(table, "A    B\nx y  bell\n");
});

test("formatTable() shortens the last column only, and only where a terminal's width is given", () => {
  const rows = [["web", "a cause that is longer than the terminal is wide"]];

  assert.match(
    formatTable(["NAME", "CAUSE"], rows, 40),
    /^NAME {2}CAUSE\nweb {3}a cause that is longer than the t…\n$/,
  );
  assert.match(formatTable(["NAME", "CAUSE"], rows), /terminal is wide\n$/);
});

test("formatTable() cuts a coloured value without leaving half of a colour behind", () => {
  const table = formatTable(["A"], [[`\u001b[31m${"x".repeat(50)}\u001b[39m`]], 25);

  assert.equal(table, `A\n${"x".repeat(24)}…\n`);
});

test("formatTable() formats 10,000 rows in one pass", () => {
  const rows = Array.from({ length: 10_000 }, (_, at) => ["web", `10.0.0.${at}:80`, GREEN, "serve", "1m"]);
  const before = process.cpuUsage();

  const lines = formatTable(["CLUSTER", "ADDR", "STATE", "INTENT", "SINCE"], rows).split("\n");

  const { user, system } = process.cpuUsage(before);
  assert.equal(lines.length, 10_002);
  assert.ok((user + system) / 1000 < 2_000, `${(user + system) / 1000} ms of CPU`);
});

test("displayWidth() counts what a terminal draws", () => {
  assert.deepEqual(["", "abc", GREEN, "é", "e\u0301", "→", "鸭"].map(displayWidth), [0, 3, 2, 1, 1, 1, 2]);
});
