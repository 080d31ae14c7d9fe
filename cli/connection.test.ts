import assert from "node:assert/strict";
import { test } from "node:test";

import { serversOf, tlsOf } from "./connection.js";

test("serversOf() prefers the flag to the environment and that to this host", () => {
  assert.deepEqual(serversOf({ server: "a:1" }, { DUCK_SERVER: "b:2" }), ["a:1"]);
  assert.deepEqual(serversOf({}, { DUCK_SERVER: "b:2" }), ["b:2"]);
  assert.deepEqual(serversOf({}, { DUCK_SERVER: "" }), ["127.0.0.1:7400"]);
  assert.deepEqual(serversOf({}, {}), ["127.0.0.1:7400"]);
});

test("serversOf() takes a host alone for its usual port", () => {
  assert.deepEqual(serversOf({ server: "coordinator-1" }, {}), ["coordinator-1:7400"]);
  assert.deepEqual(serversOf({ server: "[::1]" }, {}), ["[::1]:7400"]);
  assert.deepEqual(serversOf({ server: "[::1]:7401" }, {}), ["[::1]:7401"]);
  assert.deepEqual(serversOf({ server: "unix:/run/duck.sock" }, {}), ["unix:/run/duck.sock"]);
});

test("serversOf() refuses what cannot be an address, and says where it stands", () => {
  assert.throws(() => serversOf({ server: "http://a:1" }, {}), {
    code: "INVALID_ARGUMENT",
    message: /"http:\/\/a:1": expected HOST, HOST:PORT/,
    hint: "--server 127.0.0.1:7400",
  });
  assert.throws(() => serversOf({}, { DUCK_SERVER: "a b" }), { hint: "DUCK_SERVER=127.0.0.1:7400" });
});

test("serversOf() takes the context's server when nothing else is said", () => {
  assert.deepEqual(serversOf({}, {}, { server: "c1.example" }), ["c1.example:7400"]);
  assert.deepEqual(serversOf({}, { DUCK_SERVER: "b:2" }, { server: "c1.example" }), ["b:2"]);
  assert.throws(() => serversOf({}, {}, { server: "a b" }), { hint: /duckctl contexts set NAME --server/ });
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

test("serversOf() takes several coordinators of one tier", () => {
  assert.deepEqual(serversOf({ server: "a, b:1,,[::1] ,a" }, {}), ["a:7400", "b:1", "[::1]:7400"]);
  assert.throws(() => serversOf({ server: "a,b c" }, {}), { message: /"b c"/ });
});
