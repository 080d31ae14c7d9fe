import assert from "node:assert/strict";
import { test } from "node:test";

import { mismatch } from "./output.js";

test("what differs from run to run does not count, what the page is about does", () => {
  const page = ["web/127.0.0.1:8081 is down since 4s: process exited", "  cut 12 (term 1)"];

  assert.equal(
    mismatch(page, "web/127.0.0.1:8081 is down since 1m3s: process exited\n cut 9 (term 44)\n"),
    null,
  );
  assert.notEqual(
    mismatch(page, "web/127.0.0.1:8082 is down since 4s: process exited\n cut 12 (term 1)\n"),
    null,
  );
  assert.notEqual(mismatch(page, "web/127.0.0.1:8081 is down since 4s: process exited\n"), null);
});

test("`...` stands for any number of lines and `…` for text within one", () => {
  assert.equal(mismatch(["a", "...", "z"], "a\nz\n"), null);
  assert.equal(mismatch(["a", "...", "z"], "a\nb\nc\nz\n"), null);
  assert.notEqual(mismatch(["a", "...", "z"], "a\nb\n"), null);
  assert.notEqual(mismatch(["a"], "a\nb\n"), null);
  assert.equal(mismatch(["error: … refused"], "error: connection refused\n"), null);
  assert.notEqual(mismatch(["error: … refused"], "error:\nrefused\n"), null);
});

test("padding of tables and colours of ids do not count", () => {
  assert.equal(mismatch(["edge  0123abcd4567  local"], "edge   fedcba987654   local\n"), null);
  assert.notEqual(mismatch(["edge  0123abcd4567  local"], "edge   -   local\n"), null);
});
