import assert from "node:assert/strict";
import { test } from "node:test";
import { compileJsonMatcher, jsonMismatch, parseJsonPath } from "./json-match.js";
import { fc } from "../test/support/properties.js";

const DOCUMENT = {
  state: "ready",
  depth: 7,
  ok: true,
  none: null,
  "a.b": { c: 1 },
  items: [{ id: "x", tags: ["a", "b"] }],
};

const matches = (...triple: readonly unknown[]) =>
  jsonMismatch(DOCUMENT, compileJsonMatcher(triple)) === null;

test("paths are names, numbers in brackets, and quoted names", () => {
  assert.deepEqual(parseJsonPath("items[0].id"), ["items", 0, "id"]);
  assert.deepEqual(parseJsonPath('["a.b"].c'), ["a.b", "c"]);
  assert.deepEqual(parseJsonPath("$"), []);
  assert.deepEqual(parseJsonPath("$.items"), ["items"]);
  for (const path of ["a..b", ".a", "a.", "a[x]", "a[0]b", "a["])
    assert.equal(parseJsonPath(path), null, path);
});

test("each operator compares what it says", () => {
  assert.ok(matches("state", "eq", "ready"));
  assert.ok(matches("items[0]", "eq", { id: "x", tags: ["a", "b"] }));
  assert.ok(!matches("depth", "eq", "7"));
  assert.ok(matches("state", "ne", "down"));
  assert.ok(!matches("absent", "ne", "down"), "an absent value differs from nothing");
  assert.ok(matches("none", "exists"));
  assert.ok(matches("absent", "exists", false));
  assert.ok(!matches("state", "exists", false));
  assert.ok(matches("depth", "gt", 6) && !matches("depth", "gt", 7) && matches("depth", "gte", 7));
  assert.ok(matches("depth", "lt", 8) && !matches("depth", "lt", 7) && matches("depth", "lte", 7));
  assert.ok(!matches("state", "gt", 1));
  assert.ok(
    matches("state", "matches", "^re") &&
      matches("depth", "matches", "^7$") &&
      !matches("items", "matches", "x"),
  );
  assert.ok(matches("state", "contains", "ead") && matches("items[0].tags", "contains", "b"));
  assert.ok(matches("items[0]", "contains", "id") && !matches("items[0]", "contains", "toString"));
});

test("only what the document itself holds is reached", () => {
  for (const path of [
    "__proto__",
    "constructor",
    "toString",
    "items.length",
    "state.length",
    "state[0]",
    "items[0].__proto__",
  ]) {
    assert.ok(!matches(path, "exists"), path);
  }
});

test("a triple that makes no sense is refused with what would work", () => {
  assert.throws(() => compileJsonMatcher(["a", "is", 1]), /unknown operator "is": use one of eq, ne/);
  assert.throws(() => compileJsonMatcher(["a", "eq"]), /eq without a value/);
  assert.throws(() => compileJsonMatcher(["a", "gt", "1"]), /give a number/);
  assert.throws(() => compileJsonMatcher(["a", "matches", "("]), /unusable regular expression/);
  assert.throws(() => compileJsonMatcher(["a..b", "exists"]), /unreadable path/);
  assert.throws(() => compileJsonMatcher(["a", "exists", 1]), /leave it out/);
});

test("no document and no path make a matcher throw, and a mismatch stays short", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), (document, path) => {
      if (parseJsonPath(path) === null) return;
      const mismatch = jsonMismatch(document, compileJsonMatcher([path, "eq", "x".repeat(500)]));
      assert.ok(mismatch === null || mismatch.length < path.length + 250);
    }),
  );
});
