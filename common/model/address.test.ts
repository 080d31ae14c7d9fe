import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterduckError } from "../errors.js";
import { canonicalAddress } from "./address.js";
import { fc } from "../../test/support/properties.js";

test("two spellings of an address give one canonical text", () => {
  const spellings: readonly (readonly [string, readonly string[]])[] = [
    ["127.0.0.1:6379", ["127.0.0.1:6379", "tcp://127.0.0.1:6379", "127.0.0.1:06379"]],
    ["redis.example:6379", ["Redis.Example:6379", "tcp://REDIS.example:6379"]],
    ["[::1]:80", ["[::1]:80", "[0:0:0:0:0:0:0:1]:80", "tcp://[::0001]:80"]],
    ["[2001:db8::a]:80", ["[2001:DB8:0::A]:80"]],
    ["[fe80::1%eth0]:80", ["[FE80:0::1%eth0]:80"]],
    ["unix:/run/redis.sock", ["/run/redis.sock", "unix:/run/redis.sock", "unix:///run/redis.sock"]],
  ];
  for (const [canonical, written] of spellings) {
    for (const text of written) assert.equal(canonicalAddress(text), canonical, text);
  }
});

test("addresses that cannot stand in a proxy's configuration are refused", () => {
  const refused = [
    "",
    "host",
    "host:0",
    "host:65536",
    ":80",
    "host:80\n",
    "host:80\nserver evil",
    "ho st:80",
    "host:80 backup",
    "[1.2.3.4]:80",
    "[:::]:80",
    "[::1%]:80",
    "[::1%a%b]:80",
    "::1:80",
    "/run/a b.sock",
    "unix:relative",
    "http://host:80",
    "-a:80",
  ];
  for (const text of refused) {
    assert.throws(() => canonicalAddress(text), /Invalid address .*expected host:port/, JSON.stringify(text));
  }
});

test("a canonical address is its own canonical address", () => {
  const host = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map((text) => `[${text}]`),
  );
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
      let canonical: string;
      try {
        canonical = canonicalAddress(`${name}:${port}`);
      } catch (thrown) {
        assert.ok(thrown instanceof ClusterduckError);
        return;
      }
      assert.equal(canonicalAddress(canonical), canonical);
    }),
  );
});
