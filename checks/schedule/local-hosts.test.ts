import assert from "node:assert/strict";
import { test } from "node:test";

import { isLocalHost, readLocalHosts } from "./local-hosts.js";

test("readLocalHosts() tells what it knew before when the system cannot tell now", () => {
  const before = readLocalHosts();

  const during = readLocalHosts(() => {
    throw new Error("EMFILE: too many open files");
  });

  assert.deepEqual(during, before);
});

test("isLocalHost() knows loopback, unix sockets and this host's own addresses", () => {
  const local = new Set(["10.0.0.5"]);

  assert.deepEqual(
    ["", "localhost", "127.0.0.2", "::1", "10.0.0.5", "10.0.0.6", "example.com"].map((host) =>
      isLocalHost(host, local),
    ),
    [true, true, true, true, true, false, false],
  );
});
