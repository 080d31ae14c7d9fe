import assert from "node:assert/strict";
import { test } from "node:test";

import { splitNode } from "./node-argument.js";

test("splitNode() takes a node in each of its spellings", () => {
  assert.deepEqual(splitNode("web", "10.0.0.1:80"), { cluster: "web", addr: "10.0.0.1:80" });
  assert.deepEqual(splitNode("web/10.0.0.1:80", undefined), { cluster: "web", addr: "10.0.0.1:80" });
  assert.deepEqual(splitNode("10.0.0.1:80", undefined), { cluster: null, addr: "10.0.0.1:80" });
});

test("splitNode() does not take the slashes of a socket's path for a cluster's name", () => {
  assert.deepEqual(splitNode("unix:/run/a.sock", undefined), { cluster: null, addr: "unix:/run/a.sock" });
  assert.deepEqual(splitNode("/run/a.sock", undefined), { cluster: null, addr: "unix:/run/a.sock" });
  assert.deepEqual(splitNode("web//run/a.sock", undefined), { cluster: "web", addr: "unix:/run/a.sock" });
});

test("splitNode() writes addresses as nodes are keyed", () => {
  assert.deepEqual(splitNode("web", "tcp://EXAMPLE.org:80"), { cluster: "web", addr: "example.org:80" });
  assert.deepEqual(splitNode("web/[2001:DB8:0::1]:80", undefined), {
    cluster: "web",
    addr: "[2001:db8::1]:80",
  });
});

test("splitNode() refuses an address without a port", () => {
  assert.throws(() => splitNode("web", "10.0.0.1"), {
    code: "INVALID_ARGUMENT",
    message: /"10.0.0.1": expected host:port/,
  });
});
