import assert from "node:assert/strict";
import { test } from "node:test";

import { serverOf, tlsOf } from "./connection.js";

test("serverOf() prefers the flag to the environment and that to this host", () => {
  assert.equal(serverOf({ server: "a:1" }, { DUCK_SERVER: "b:2" }), "a:1");
  assert.equal(serverOf({}, { DUCK_SERVER: "b:2" }), "b:2");
  assert.equal(serverOf({}, { DUCK_SERVER: "" }), "127.0.0.1:7400");
  assert.equal(serverOf({}, {}), "127.0.0.1:7400");
});

test("serverOf() takes a host alone for its usual port", () => {
  assert.equal(serverOf({ server: "coordinator-1" }, {}), "coordinator-1:7400");
  assert.equal(serverOf({ server: "[::1]" }, {}), "[::1]:7400");
  assert.equal(serverOf({ server: "[::1]:7401" }, {}), "[::1]:7401");
  assert.equal(serverOf({ server: "unix:/run/duck.sock" }, {}), "unix:/run/duck.sock");
});

test("serverOf() refuses what cannot be an address, and says where it stands", () => {
  assert.throws(() => serverOf({ server: "http://a:1" }, {}), {
    code: "INVALID_ARGUMENT",
    message: /"http:\/\/a:1": expected HOST, HOST:PORT/,
    hint: "--server 127.0.0.1:7400",
  });
  assert.throws(() => serverOf({}, { DUCK_SERVER: "a b" }), { hint: "DUCK_SERVER=127.0.0.1:7400" });
});

test("serverOf() takes the context's server when nothing else is said", () => {
  assert.equal(serverOf({}, {}, { server: "c1.example" }), "c1.example:7400");
  assert.equal(serverOf({}, { DUCK_SERVER: "b:2" }, { server: "c1.example" }), "b:2");
  assert.throws(() => serverOf({}, {}, { server: "a b" }), { hint: /duckctl contexts set NAME --server/ });
});

test("tlsOf() takes each file from flag, environment or context, in this order", () => {
  const context = { cacert: "/c/ca", cert: "/c/cert", key: "/c/key" };

  assert.deepEqual(tlsOf({ key: "/f/key" }, { DUCK_CERT: "/e/cert" }, context), {
    ca: "/c/ca",
    cert: "/e/cert",
    key: "/f/key",
  });
  assert.equal(tlsOf({}, { DUCK_KEY: "" }), null);
  assert.throws(() => tlsOf({ cert: "/a", key: "/b" }, {}), {
    code: "INVALID_ARGUMENT",
    message: /--cacert \(DUCK_CACERT\) is missing/,
  });
});
