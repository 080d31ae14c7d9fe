import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "../../common/model/address.js";
import { redirectedTarget, sniOf, targetOf } from "./target.js";

const at = (host: string, port: number): Address => ({ kind: "tcp", host, port });

test("a path asks the node by its own address, without the default port", () => {
  assert.deepEqual(targetOf("/health?x=1", undefined, at("10.0.0.1", 8080)), {
    isTls: false,
    path: "/health?x=1",
    host: "10.0.0.1:8080",
    certificateName: "10.0.0.1",
  });
  assert.equal(targetOf("/", undefined, at("web.example", 80)).host, "web.example");
  assert.equal(targetOf("/", true, at("web.example", 80)).host, "web.example:80");
  assert.equal(targetOf("/", true, at("fe80::1%eth0", 443)).host, "[fe80::1]");
  assert.equal(targetOf("/", undefined, { kind: "unix", path: "/run/x.sock" }).host, "localhost");
});

test("a URL names host and certificate, wherever the node is", () => {
  const target = targetOf("https://Shop.Example:8443/a/../b#c", undefined, at("10.0.0.1", 443));

  assert.deepEqual(target, {
    isTls: true,
    path: "/b",
    host: "shop.example:8443",
    certificateName: "shop.example",
  });
  assert.equal(sniOf(target), "shop.example");
  assert.equal(sniOf(targetOf("https://[::1]/", undefined, at("10.0.0.1", 443))), undefined);
  assert.equal(targetOf("wss://a/", { server_name: "b" }, at("10.0.0.1", 443)).certificateName, "b");
});

test("a redirect is followed on the same scheme and host only", () => {
  const target = targetOf("http://a.example/x", undefined, at("10.0.0.1", 80));

  assert.equal(redirectedTarget(target, "/y?z")?.path, "/y?z");
  assert.equal(redirectedTarget(target, "y")?.path, "/y");
  assert.equal(redirectedTarget(target, "http://a.example:80/y")?.path, "/y");
  assert.equal(redirectedTarget(target, "//b.example/y"), null);
  assert.equal(redirectedTarget(target, "https://a.example/y"), null);
  assert.equal(redirectedTarget(target, "http://["), null);
});
