import assert from "node:assert/strict";
import { test } from "node:test";
import { readNodeAttributes } from "./node-attributes.js";

test("attributes of a command are those that a file may give", () => {
  const given = { weight: 10, spare: true, cookie: 7, comment: "the new one", rack: "r1" };

  assert.deepEqual(readNodeAttributes(given), given);
});

test("attributes of a command are refused as in a file, with their names and what is allowed", () => {
  const refusals: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ weight: "banana" }, /"weight": expected a number, found the text "banana"/],
    [{ weight: 70_000 }, /"weight": is 70000, must be at most 65535/],
    [{ weight: 1.5 }, /"weight": expected a whole number/],
    [{ backup: "yes" }, /"backup": expected true or false, found the text "yes"/],
    [{ cookie: "a\nserver evil" }, /"cookie": .*control character/],
    [{ rack: { name: "r1" } }, /"rack": expected text, a number, true or false/],
    [{ "a b": 1 }, /"a b": is not a name of an attribute: use letters/],
    [{ addr: "10.0.0.1:80" }, /"addr": the address is given before/],
    [JSON.parse('{"__proto__": 1}') as Record<string, unknown>, /"__proto__": is a word of the language/],
    [{ weight: -1, down: 1 }, /"weight".*; Invalid attribute "down"/],
  ];
  for (const [given, message] of refusals) {
    assert.throws(() => readNodeAttributes(given), { code: "INVALID_ARGUMENT", message });
  }
});
