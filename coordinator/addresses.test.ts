import assert from "node:assert/strict";
import { test } from "node:test";
import { advertisedAddress, ownAddress } from "./addresses.js";

const HOST = ["10.0.0.1", "2001:db8::1"];
const told = (host: string, advertise: string | null = null, hostAddresses: readonly string[] = HOST) =>
  advertisedAddress({ listen: { host, port: 0 }, port: 7400, advertise, hostAddresses });

test("others are told what the configuration says, else where it listens, else an address of the host", () => {
  assert.equal(told("0.0.0.0", "c1.example:1"), "c1.example:1");
  assert.equal(told("10.0.0.9"), "10.0.0.9:7400");
  assert.equal(told("::1"), "[::1]:7400");
  assert.equal(told("0.0.0.0"), "10.0.0.1:7400");
  assert.equal(told("::"), "10.0.0.1:7400");
  assert.equal(told("::", null, ["2001:db8::1"]), "[2001:db8::1]:7400");
});

test("a host without addresses that fit is told as itself", () => {
  assert.equal(told("0.0.0.0", null, []), "127.0.0.1:7400");
  assert.equal(told("0.0.0.0", null, ["2001:db8::1"]), "127.0.0.1:7400");
  assert.equal(told("::", null, []), "[::1]:7400");
});

test("a program on the same host takes loopback where all addresses are listened on", () => {
  assert.equal(ownAddress({ host: "0.0.0.0", port: 0 }, 1), "127.0.0.1:1");
  assert.equal(ownAddress({ host: "::", port: 0 }, 1), "[::1]:1");
  assert.equal(ownAddress({ host: "c1", port: 0 }, 1), "c1:1");
});
